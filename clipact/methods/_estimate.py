"""How long a training will take."""

from dataclasses import dataclass
from typing import final

from clipact._progress import duration

__all__ = ["Estimate"]


@final
@dataclass(frozen=True)
class Estimate:
    """How long a training by stages will take; ``print`` says it in words.

    Attributes:
        stages: Number of stages.
        seconds: If every stage keeps its first decay and runs to its last epoch.
        most: If every stage tries every decay to the last epoch.

    Examples:
        >>> print(Estimate(7, 200.0, 2000.0))
        7 stages, about 3 min 20 s if each keeps its first decay, at most 33 min 20 s
    """

    stages: int
    seconds: float
    most: float

    def __str__(self) -> str:
        return (
            f"{self.stages} stages, about {duration(self.seconds)} if each keeps its first decay, at most"
            f" {duration(self.most)}"
        )
