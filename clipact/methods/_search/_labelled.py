"""Held-out batches: inputs of the model, and the class of each sample."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from clipact.calibration import Batch, model_inputs

__all__ = ["Labelled", "first", "split"]

_LABELS = ("labels", "label")


class Labelled(NamedTuple):
    """Inputs of the model, and the class of each sample."""

    inputs: Tensor | Mapping[str, Any]
    labels: Tensor


def split(batch: Batch) -> tuple[Tensor | Mapping[str, Any], Tensor | None]:
    """Inputs of the model, and the class of each sample if they are there."""
    labels: Any = None
    inputs = model_inputs(batch)
    if isinstance(batch, Mapping):
        labels = next((batch[name] for name in _LABELS if name in batch), None)
        inputs = {name: value for name, value in batch.items() if name not in _LABELS}
    elif not isinstance(batch, Tensor) and len(batch) > 1:
        labels = batch[1]
    return inputs, labels if isinstance(labels, Tensor) and labels.dim() == 1 else None


def first(batch: Labelled, samples: int) -> Labelled:
    """At most so many samples of a batch."""
    size = batch.labels.shape[0]
    if samples >= size:
        return batch
    inputs = batch.inputs
    if isinstance(inputs, Tensor):
        return Labelled(inputs[:samples], batch.labels[:samples])
    cut = {
        name: value[:samples]
        if isinstance(value, Tensor) and value.dim() and value.shape[0] == size
        else value
        for name, value in inputs.items()
    }
    return Labelled(cut, batch.labels[:samples])
