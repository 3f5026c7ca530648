"""The logits of a model, batch by batch."""

from collections.abc import Sequence
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from clipact.calibration import run
from clipact.errors import TrainingError
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

    def check_labels(self) -> None:
        """Refuse labels that are no classes of the model.

        Raises:
            TrainingError: One is below 0 or above the last class, or there are not as many as rows of logits.
        """
        with torch.no_grad():
            logits, first = self.logits(0)
        if len(logits) != len(first):
            raise TrainingError(
                f"the model gives {len(logits)} rows of logits for a batch with {len(first)} labels; give one label a sample"
            )
        labels = torch.cat([batch.labels for batch in self._batches])
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= logits.shape[1]:
            raise TrainingError(
                f"there are labels from {low} to {high}, but the model has the classes 0 to {logits.shape[1] - 1}; number the"
                " classes from 0, and leave out samples without one"
            )

    def right(self) -> int:
        """How many samples are classified correctly; one with a NaN among its logits is not. Waits for the device once."""
        total: Tensor | int = 0
        with torch.no_grad():
            for place in range(len(self)):
                logits, labels = self.logits(place)
                hit = (logits.argmax(1) == labels) & ~logits.isnan().any(1)
                total = total + hit.sum()
        return int(total)
