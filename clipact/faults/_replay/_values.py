"""Values that calls return: which of them can be kept, and whether two are the same to the last bit."""

from collections.abc import Iterator
from enum import Enum
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

__all__ = [
    "bits",
    "checksum",
    "is_constant",
    "is_plain",
    "key",
    "plain_tensors",
    "same_constant",
    "size",
]

_WORDS: Final = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_CONSTANTS: Final = (
    type(None),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    Enum,
    slice,
    torch.dtype,
    torch.device,
    torch.Size,
)


def is_plain(value: Any) -> bool:
    """Whether this is a tensor of which every bit is in a dense storage and no gradient is asked for."""
    return (
        type(value) is Tensor
        and value.layout is torch.strided
        and not (value.is_quantized or value.is_conj() or value.is_neg())
        and value.device.type != "meta"
        and not value.requires_grad
    )


def is_constant(value: Any) -> bool:
    """Whether this is a value that nobody can change."""
    return isinstance(value, _CONSTANTS)


def same_constant(one: Any, other: Any) -> bool:
    """Whether two constants are the same, signs of zeros included."""
    return type(one) is type(other) and one == other and repr(one) == repr(other)


def bits(tensor: Tensor) -> Tensor:
    """A plain tensor's words as integers, of the same strides."""
    if tensor.dtype is torch.complex128:
        tensor = torch.view_as_real(tensor)
    return tensor.detach().view(_WORDS[tensor.element_size()])


def checksum(tensor: Tensor) -> Tensor:
    """The sum of a plain tensor's words, on its device; it wraps around."""
    words = bits(tensor).contiguous().view(-1)
    size = words.element_size()
    if words.numel() * size % 8 == 0 and words.storage_offset() * size % 8 == 0:
        return words.view(torch.int64).sum()  # many times as fast as to widen them one by one
    return words.sum(dtype=torch.int64)


def key(tensor: Tensor) -> int:
    """What tells a tensor's storage from all others that are alive or referred to."""
    return tensor.untyped_storage()._cdata  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - its identity has no public name


def size(tensor: Tensor) -> int:
    """Bytes of its whole storage."""
    return tensor.untyped_storage().nbytes()


def plain_tensors(value: Any) -> Iterator[Tensor]:
    """Every strided tensor in a nested value: also those that sparse tensors and tensor subclasses are made of.

    Raises:
        TypeError: There is a tensor whose memory cannot be told.
    """
    for leaf in pytree.tree_leaves(value):
        if isinstance(leaf, Tensor):
            yield from _parts(leaf)


def _parts(tensor: Tensor) -> Iterator[Tensor]:
    if is_traceable_wrapper_subclass(tensor):
        for name in tensor.__tensor_flatten__()[0]:
            yield from _parts(getattr(tensor, name))
    elif tensor.layout is torch.strided and tensor.device.type != "meta":
        yield tensor
    elif tensor.layout is torch.sparse_coo:
        yield from (tensor._indices(), tensor._values())  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the public ones refuse uncoalesced tensors
    elif tensor.device.type != "meta":
        raise TypeError(f"a tensor of layout {tensor.layout}")
