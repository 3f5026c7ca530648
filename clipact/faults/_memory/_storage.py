"""A tensor's words as integers in its own storage, whatever its strides."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def storage_words(tensor: Tensor) -> Tensor:
    """A flat integer view from the tensor's first word in storage to its last, gaps included. Nothing is copied."""
    if tensor.is_contiguous():
        return tensor.detach().view(-1).view(_WORDS[tensor.element_size()])
    extent = 1 + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    flat = tensor.detach().as_strided((extent,), (1,), tensor.storage_offset())
    return flat.view(_WORDS[tensor.element_size()])


def storage_positions(tensor: Tensor, index: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where in :func:`storage_words` the elements of these logical (row-major) indices are."""
    if tensor.is_contiguous():
        return index
    positions = np.zeros_like(index)
    for place, stride in zip(np.unravel_index(index, tensor.shape), tensor.stride(), strict=True):
        positions += place * stride
    return positions


def shares_words(tensor: Tensor) -> bool:
    """Whether elements of one tensor may lie on the same word, as after ``expand``."""
    if tensor.is_contiguous():
        return False
    reach = 0
    for size, stride in sorted(zip(tensor.shape, tensor.stride(), strict=True), key=lambda d: d[1]):
        if size > 1:
            if stride <= reach:
                return True
            reach += (size - 1) * stride
    return False


def unaddressable(tensor: Tensor) -> str | None:
    """Why the words of a tensor cannot be changed in place, each by itself; None where they can."""
    if is_lazy(tensor) or tensor.device.type == "meta":
        return "has no memory yet (a lazy module that never ran, or the meta device)"
    if problem := unplain(tensor):
        return problem
    if shares_words(tensor):
        return f"has several elements on one word (shape {tuple(tensor.shape)}, strides {tensor.stride()})"
    return None


def unplain(tensor: Tensor) -> str | None:
    """Why the elements of a tensor are not plain numbers in memory; None where they are."""
    if tensor.layout is not torch.strided:
        return f"is a sparse tensor ({tensor.layout})"
    if tensor.is_complex() or tensor.is_quantized:
        return f"has the type {tensor.dtype}, whose words are not plain numbers"
    if type(plain := tensor.detach()) is not Tensor:
        return f"is a {type(plain).__name__}, not a plain tensor"
    return None
