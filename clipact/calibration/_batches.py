"""What a batch of a user's loader means as a model's input."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor, nn

from clipact.errors import CalibrationError

Batch = Tensor | Sequence[Any] | Mapping[str, Any]
Batches = Iterable[Batch] | Tensor | Mapping[str, Any]


def model_inputs(batch: Batch) -> Tensor | Mapping[str, Any]:
    """The part of a batch that goes into the model.

    A tensor is itself; of a tuple or list, such as ``(images, labels)``, the first entry; a mapping, as Hugging Face
    collators give, becomes keyword arguments.

    Raises:
        CalibrationError: Something else.
    """
    if isinstance(batch, Tensor | Mapping):
        return batch
    first = batch[0] if isinstance(batch, list | tuple) and batch else None
    if isinstance(first, Tensor | Mapping):
        return cast("Tensor | Mapping[str, Any]", first)
    raise CalibrationError(
        f"a batch is a {type(batch).__name__}; give tensors, (inputs, labels) pairs or mappings of keyword arguments"
    )


def to_device_of(
    model: nn.Module, inputs: Tensor | Mapping[str, Any]
) -> Tensor | Mapping[str, Any]:
    """The inputs on the device of the model's first parameter or buffer."""
    first = next(iter(model.parameters()), next(iter(model.buffers()), None))
    if first is None or first.device.type == "meta":
        return inputs
    return _move(inputs, first.device)


def run(model: nn.Module, inputs: Tensor | Mapping[str, Any]) -> Any:
    """Call the model on what :func:`model_inputs` gave."""
    return model(inputs) if isinstance(inputs, Tensor) else model(**inputs)


def peek(batches: Batches) -> tuple[Batch, Iterator[Batch]]:
    """The first batch, and an iterator over all of them, the first included.

    A tensor or mapping is one batch: iterating over it would give samples without their batch axis, or keys.

    Raises:
        CalibrationError: There is no batch.
    """
    several: Iterable[Batch] = (
        (cast("Batch", batches),) if isinstance(batches, Tensor | Mapping) else batches
    )
    iterator = iter(several)
    try:
        first = next(iterator)
    except StopIteration:
        raise CalibrationError(
            "the calibration set is empty: no batch came out of it (a generator can be used only once)"
        ) from None
    return first, chain([first], iterator)


def _move(inputs: Tensor | Mapping[str, Any], device: torch.device) -> Tensor | Mapping[str, Any]:
    if isinstance(inputs, Tensor):
        return inputs.to(device, non_blocking=True)
    return {
        k: v.to(device, non_blocking=True) if isinstance(v, Tensor) else v
        for k, v in inputs.items()
    }
