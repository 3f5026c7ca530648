"""Whether two outputs of a model are the same, bit for bit."""

from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

__all__ = ["same_bits"]


def same_bits(one: Any, other: Any) -> bool:
    """Compare tensors as bytes, NaN included, wherever they are in a nested output; without storage only shapes."""
    left, left_spec = pytree.tree_flatten(one)
    right, right_spec = pytree.tree_flatten(other)
    return left_spec == right_spec and all(_same(a, b) for a, b in zip(left, right, strict=True))


def _same(one: Any, other: Any) -> bool:
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return type(one) is type(other)
    if one.shape != other.shape or one.dtype != other.dtype or one.device != other.device:
        return False
    if one.device.type == "meta" or one.layout is not torch.strided:
        return True
    return torch.equal(_bytes(one), _bytes(other))


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)
