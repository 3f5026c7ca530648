"""Batches with labels, read once and kept."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from torch import Tensor, nn

from clipact.calibration import Batches, model_inputs, to_device_of
from clipact.errors import CalibrationError, TrainingError

__all__ = ["Labelled", "labelled"]

_KEYS = ("labels", "label")


class Labelled(NamedTuple):
    """Inputs of a model, and the class of each sample.

    Attributes:
        inputs: A tensor, or keyword arguments.
        labels: Classes ``(N,)``.
    """

    inputs: Tensor | Mapping[str, Any]
    labels: Tensor

    def beside(self, model: nn.Module) -> "Labelled":
        """On the device of the model."""
        inputs = to_device_of(model, self.inputs)
        given = to_device_of(model, self.labels)
        return Labelled(inputs, cast("Tensor", given))


def labelled(batches: Batches, what: str) -> tuple[Labelled, ...]:
    """The batches of a loader, gone through once.

    Args:
        batches: ``(inputs, labels)`` pairs, or mappings of keyword arguments with ``labels`` among them (of which one by
            itself is one batch).
        what: What they are, for the error messages: ``"training"``.

    Raises:
        TrainingError: There is no batch, or one without labels.
    """
    several: Iterable[Any] = (batches,) if isinstance(batches, Tensor | Mapping) else batches
    read = (_split(batch, number, what) for number, batch in enumerate(several))
    found = tuple(batch for batch in read if len(batch.labels))
    if not found:
        raise TrainingError(
            f"the {what} data is empty: no batch came out of it (a generator can be used only once); give a DataLoader or a"
            " list of (inputs, labels) pairs"
        )
    return found


def _split(batch: Any, number: int, what: str) -> Labelled:
    try:
        inputs = model_inputs(batch)
    except CalibrationError as error:
        raise TrainingError(f"batch {number} of the {what} data is unusable: {error}") from None
    if isinstance(inputs, Mapping) and inputs is batch:
        labels = next((inputs[key] for key in _KEYS if key in inputs), None)
        inputs = {key: value for key, value in inputs.items() if key not in _KEYS}
    else:
        labels = batch[1] if isinstance(batch, Sequence) and len(batch) > 1 else None
    if not isinstance(labels, Tensor) or labels.dim() != 1 or not _are_whole(labels):
        raise TrainingError(
            f"batch {number} of the {what} data has {_described(labels)}; thresholds are trained on (inputs, labels) pairs, with"
            " whole numbers of shape (N,) for the classes: [(images, labels)] is one batch"
        )
    return Labelled(inputs, labels.long())


def _are_whole(labels: Tensor) -> bool:
    return not labels.is_floating_point() and not labels.is_complex()


def _described(labels: Any) -> str:
    if labels is None:
        return "no labels"
    if isinstance(labels, Tensor):
        return f"labels of {labels.dtype} and shape {tuple(labels.shape)}"
    return f"a {type(labels).__name__} for labels"
