"""The logits of a model, batch by batch."""

from collections.abc import Sequence
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from clipact.calibration import run
from clipact.training._labelled import Labelled
from clipact.training._logits import logits_of

__all__ = ["Forwards", "Shortcut"]


class Shortcut(Protocol):
    """Something that computes a model's output for a numbered batch, in less time than the model."""

    def run(self, place: int, inputs: Any) -> Any:
        """What the model returns for the inputs of this batch."""
        ...


@final
class Forwards:
    """A model and the batches that it is trained or judged on.

    Args:
        model: In the mode and with the flags that it is to run with.
        batches: At least one.
        shortcut: What runs in its place; None for the model itself.

    Attributes:
        samples: Number of samples in all batches.
    """

    def __init__(
        self, model: nn.Module, batches: Sequence[Labelled], shortcut: Shortcut | None = None
    ) -> None:
        self._model, self._batches = model, batches
        self._shortcut = shortcut
        self.samples = sum(len(batch.labels) for batch in batches)

    def __len__(self) -> int:
        return len(self._batches)

    def logits(self, place: int) -> tuple[Tensor, Tensor]:
        """The logits for a batch, and its labels."""
        batch = self._batches[place].beside(self._model)
        if self._shortcut is None:
            output = run(self._model, batch.inputs)
        else:
            output = self._shortcut.run(place, batch.inputs)
        return logits_of(output), batch.labels

    def right(self) -> int:
        """How many samples are classified correctly; waits for the device once."""
        total: Tensor | int = 0
        with torch.no_grad():
            for place in range(len(self)):
                logits, labels = self.logits(place)
                total = total + (logits.argmax(1) == labels).sum()
        return int(total)
