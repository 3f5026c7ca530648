"""The tensor that matters in what a layer returns."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from clipact.errors import SurgeryError

__all__ = ["first_tensor", "map_first"]


def first_tensor(output: Any) -> Tensor | None:
    """The first tensor that has dimensions (a loss has none): of a tuple, list, mapping or packed sequence."""
    if isinstance(output, Tensor):
        return output if output.dim() else None
    if isinstance(output, PackedSequence):
        return output.data
    values = (
        output.values()
        if isinstance(output, Mapping)
        else output
        if isinstance(output, tuple | list)
        else ()
    )
    return next((found for value in values if (found := first_tensor(value)) is not None), None)


def map_first(output: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """The same output with ``function`` applied to its :func:`first_tensor`; the output itself is not modified.

    Raises:
        SurgeryError: There is none.
    """
    if isinstance(output, Tensor):
        return function(output)
    if first_tensor(output) is None:
        raise SurgeryError(
            f"an output of type {type(output).__name__} cannot be guarded: no tensor with dimensions is found in it; guard "
            "the layer that computes it"
        )
    if isinstance(output, PackedSequence):
        return output._replace(data=function(output.data))
    if isinstance(output, Mapping):
        key = next(key for key, value in output.items() if first_tensor(value) is not None)
        changed: Any = copy.copy(output)
        changed[key] = map_first(output[key], function)
        return changed
    index = next(index for index, value in enumerate(output) if first_tensor(value) is not None)
    values = [*output[:index], map_first(output[index], function), *output[index + 1 :]]
    return type(output)(*values) if hasattr(output, "_fields") else type(output)(values)
