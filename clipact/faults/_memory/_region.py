"""The words a tensor occupies in memory: equal for tied tensors, also under other shapes and strides."""

from typing import NamedTuple

import torch
from torch import Tensor


class Region(NamedTuple):
    """A set of bytes in a storage.

    Attributes:
        device: Where the storage is.
        storage: Its address.
        start: First byte.
        end: One past the last byte.
        itemsize: Bytes a word has.
        dims: Sizes and strides in words, largest stride first, with dimensions that continue each other merged: a
            tensor and its transpose or reshape have the same.
    """

    device: torch.device
    storage: int
    start: int
    end: int
    itemsize: int
    dims: tuple[tuple[int, int], ...]

    @staticmethod
    def of(tensor: Tensor) -> "Region":
        """The region of a strided tensor with at least one element."""
        dims = _canonical(tensor)
        size = tensor.element_size()
        start = int(tensor.storage_offset()) * size
        end = start + (1 + sum((n - 1) * stride for n, stride in dims)) * size
        return Region(tensor.device, tensor.untyped_storage().data_ptr(), start, end, size, dims)

    def overlaps(self, other: "Region") -> bool:
        """Whether the two have a byte in common; exact also for interleaved views, as the columns of a matrix."""
        if (self.device, self.storage) != (other.device, other.storage):
            return False
        if self.start >= other.end or other.start >= self.end:
            return False
        base = min(self.start, other.start)
        taken = torch.zeros(max(self.end, other.end) - base, dtype=torch.bool, device="cpu")
        _bytes(self, taken, base).fill_(1)
        return bool(_bytes(other, taken, base).any())


def _bytes(region: Region, memory: Tensor, base: int) -> Tensor:
    """The bytes of ``region`` in a buffer whose first byte stands for byte ``base`` of the storage."""
    sizes = [n for n, _ in region.dims] + [region.itemsize]
    strides = [stride * region.itemsize for _, stride in region.dims] + [1]
    return memory.as_strided(sizes, strides, region.start - base)


def _canonical(tensor: Tensor) -> tuple[tuple[int, int], ...]:
    if tensor.is_contiguous():
        return ((tensor.numel(), 1),) if tensor.numel() > 1 else ()
    dims = sorted(
        ((n, s) for n, s in zip(tensor.shape, tensor.stride(), strict=True) if n > 1),
        key=lambda dim: -dim[1],
    )
    merged: list[tuple[int, int]] = []
    for size, stride in dims:
        if merged and merged[-1][1] == size * stride:
            merged[-1] = (merged[-1][0] * size, stride)
        else:
            merged.append((size, stride))
    return tuple(merged)
