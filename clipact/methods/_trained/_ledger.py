"""What was done so far, in memory and in a file."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

from clipact.methods._history import History
from clipact.training._checkpoint import CheckpointFile

__all__ = ["Ledger"]


@final
class Ledger:
    """Stages and decays that are done.

    Args:
        file: Written after every decay.

    Attributes:
        stage: Stages done.
        tried: Decays tried at the stage at work.
        kept: Thresholds of the strongest decay that was accepted there.
        history: A row an attempt.
    """

    def __init__(self, file: CheckpointFile) -> None:
        self.stage, self.tried = 0, 0
        self.kept: list[Tensor] | None = None
        self.history = History()
        self._file = file

    def resume(self, thresholds: Mapping[str, nn.Parameter]) -> None:
        """Go on from the file, if there is one.

        Args:
            thresholds: They get the values that they had.

        Raises:
            TrainingError: The file is that of another training.
        """
        state = self._file.load()
        if state is None:
            return
        self.stage, self.tried, self.kept = state["stage"], state["tried"], state["kept"]
        self.history = History(state["history"])
        with torch.no_grad():
            for name, threshold in thresholds.items():
                threshold.copy_(state["thresholds"][name])

    def write(self, row: Mapping[str, Any], accepted: Sequence[Tensor] | None) -> None:
        """A decay was tried; the strongest that is accepted counts."""
        self.history.append(dict(row))
        self.tried += 1
        if self.kept is None and accepted is not None:
            self.kept = list(accepted)

    def next_stage(self, thresholds: Mapping[str, nn.Parameter]) -> None:
        """The stage at work is over."""
        self.stage, self.tried, self.kept = self.stage + 1, 0, None
        self.save(thresholds)

    def save(self, thresholds: Mapping[str, nn.Parameter]) -> None:
        """Write the file."""
        state = {
            "stage": self.stage,
            "tried": self.tried,
            "kept": self.kept,
            "history": list(self.history),
            "thresholds": {name: each.detach().clone() for name, each in thresholds.items()},
        }
        self._file.save(state)
