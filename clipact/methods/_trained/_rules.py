"""What stages are trained by."""

from dataclasses import dataclass
from typing import final

from clipact.methods._early import Early
from clipact.methods._slopes import Slope
from clipact.training import Descent, Objective, Stage

__all__ = ["Rules"]


@final
@dataclass(frozen=True)
class Rules:
    """The settings of :class:`clipact.methods.ProAct` that stages need; they are documented there."""

    decays: tuple[float, ...]
    scalar: Descent
    vector: Descent
    objective: Objective
    slope: Slope
    early: Early | None
    seed: int
    cache: int

    def descent(self, stage: Stage) -> Descent:
        """How the thresholds of a stage move."""
        alone = all(threshold.numel() == 1 for threshold in stage.parameters())
        return self.scalar if alone else self.vector
