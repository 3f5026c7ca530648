"""Lay a weight out by columns: the same parameter with the same values, in another order in memory."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["is_by_columns", "lay_out", "why_not"]


def is_by_columns(weight: Tensor) -> bool:
    """Whether the weights of one input lie side by side."""
    return weight.stride() == (1, weight.shape[0])


def lay_out(weight: Tensor) -> Callable[[], None]:
    """Lay a weight out by columns, in place.

    Returns:
        What lays its values out as they were. It does nothing if the weight was moved into another layout meanwhile.
    """
    if is_by_columns(weight):
        return _nothing
    strides = weight.stride()
    _arrange(weight, (1, weight.shape[0]))

    def undo() -> None:
        if is_by_columns(weight):
            _arrange(weight, strides)

    return undo


def _arrange(weight: Tensor, strides: tuple[int, ...]) -> None:
    with torch.inference_mode(weight.is_inference()):  # or it could not be trained any more
        memory = torch.empty_strided(
            weight.shape, strides, dtype=weight.dtype, device=weight.device
        )
        weight.data = memory.copy_(weight.data)


def _nothing() -> None:
    pass


def why_not(model: nn.Module, layer: nn.Linear) -> str | None:
    """What speaks against laying the weight of this layer out by columns; None if nothing does."""
    weight = dict(layer.named_parameters(recurse=False)).get("weight")
    if type(weight) is not nn.Parameter:
        return "its weight is computed (parametrised, pruned or quantised)"
    if weight.is_meta:
        return "its weight is on the meta device"
    if weight.is_shared():
        return "its weight is in memory shared between processes"
    return _other_owner(model, weight)


def _other_owner(model: nn.Module, weight: nn.Parameter) -> str | None:
    storage = weight.untyped_storage()
    for path, module in model.named_modules():
        parameters = module.named_parameters(path, recurse=False)
        for name, tensor in (*parameters, *module.named_buffers(path, recurse=False)):
            if tensor is weight and not isinstance(module, nn.Linear):
                return f"its weight is also that of {path or 'the model'} ({type(module).__name__})"
            if tensor is not weight and _shares(tensor, storage):
                return f"its weight is part of the memory of {name}"
    return None


def _shares(tensor: Tensor, storage: torch.UntypedStorage) -> bool:
    if tensor.layout is not torch.strided or tensor.is_meta:
        return False
    return tensor.untyped_storage().data_ptr() == storage.data_ptr() != 0
