"""Go through large tensors in pieces that stay in the processor's cache.

An activation made of several tensor operations reads and writes main memory once an operation. Done piece by piece, all
operations on a piece happen in cache, and main memory is read and written once.
"""

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import final

import torch
from torch import Tensor

_BYTES = 512 * 1024
"""Size of a piece a thread. Larger ones leave the second-level cache, smaller ones pay for more calls."""


def blocks(lead: Tensor, *others: Tensor) -> Iterator[Sequence[Tensor]]:
    """Matching pieces of tensors with the same number of dimensions, all of them views.

    Where a tensor has size 1 along a dimension that is cut, each piece gets it whole. Pieces are cut along the
    dimensions in the order in which the first tensor lies in memory. On an accelerator everything is one piece.

    Args:
        lead: Decides how to cut.
        *others: Tensors that broadcast to ``lead``.
    """
    tensors = (lead, *others)
    limit = _BYTES * torch.get_num_threads() // lead.element_size()
    if lead.device.type != "cpu" or lead.numel() <= limit:
        return iter((tensors,))
    if not lead.is_contiguous():
        order = sorted(range(lead.dim()), key=lead.stride, reverse=True)
        tensors = tuple(tensor.permute(order) for tensor in tensors)
    return _cut(tensors, 0, limit)


def _cut(tensors: Sequence[Tensor], dim: int, limit: int) -> Iterator[Sequence[Tensor]]:
    lead = tensors[0]
    if lead.numel() <= limit or dim == lead.dim():
        yield tensors
        return
    if lead.shape[dim] == 1:
        yield from _cut(tensors, dim + 1, limit)
        return
    rows = max(1, limit * lead.shape[dim] // lead.numel())
    for piece in zip(*(_split(tensor, rows, dim) for tensor in tensors), strict=False):
        yield from _cut(piece, dim + 1, limit)


def _split(tensor: Tensor, rows: int, dim: int) -> Iterator[Tensor]:
    return repeat(tensor) if tensor.shape[dim] == 1 else iter(tensor.split(rows, dim))


def flat_blocks(lead: Tensor, *others: Tensor) -> Sequence[Sequence[Tensor]] | None:
    """As :func:`blocks`, with pieces of one dimension, which cost less to make; None where the tensors' memory differs.

    Args:
        lead: Decides the order.
        *others: Tensors in its shape.
    """
    tensors = (lead, *others)
    if not lead.is_contiguous():
        order = sorted(range(lead.dim()), key=lead.stride, reverse=True)
        tensors = tuple(tensor.permute(order) for tensor in tensors)
    if not all(tensor.is_contiguous() for tensor in tensors):
        return None
    size = max(1, 2 * _BYTES * torch.get_num_threads() // lead.element_size())
    return list(zip(*(tensor.view(-1).split(size) for tensor in tensors), strict=True))


@final
class Scratch:
    """Memory for intermediate results that all pieces share: fresh memory for each would cost more than the work on it.

    Args:
        count: How many tensors a piece needs.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._flat: Sequence[Tensor] = ()
        self._shaped: Sequence[Tensor] = ()

    def like(self, piece: Tensor) -> Sequence[Tensor]:
        """``count`` tensors in the shape and dtype of ``piece``, with arbitrary contents."""
        if not self._flat or self._flat[0].numel() < piece.numel():
            self._flat = [piece.new_empty(piece.numel()) for _ in range(self._count)]
            self._shaped = ()
        if not self._shaped or self._shaped[0].shape != piece.shape:
            self._shaped = [flat[: piece.numel()].view(piece.shape) for flat in self._flat]
        return self._shaped
