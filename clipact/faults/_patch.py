"""The words of a tensor that faults change, with their bits before and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from clipact.faults._drawing import Addresses
from clipact.faults._formats import Format
from clipact.faults._models import FaultModel
from clipact.faults._record import FaultRecord
from clipact.faults._storage import storage_positions, storage_words
from clipact.faults._tensors import TargetTensor


class Patch(NamedTuple):
    """The words of one tensor that change: where they are in storage, and their bits before and after."""

    target: TargetTensor
    words: Tensor
    positions: Tensor
    before: Tensor
    after: Tensor

    def apply(self) -> None:
        """Write the new bits."""
        self.words.index_copy_(0, self.positions, self.after)

    def restore(self) -> None:
        """Write the old bits; harmless where the new ones were never written."""
        self.words.index_copy_(0, self.positions, self.before)


@dataclass(frozen=True, eq=False)
class Hits:
    """All faults in tensors of one dtype on one device, by tensor, index and bit.

    Attributes:
        tensors: The tensors that are hit.
        tensor: Of each fault, the place in ``tensors``.
        index: Flat index of its word.
        bit: Position in the word.
        first: Places of the faults that are the first of their word.
    """

    tensors: Sequence[TargetTensor]
    tensor: npt.NDArray[np.int64]
    index: npt.NDArray[np.int64]
    bit: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]


def locate(tensors: Sequence[TargetTensor], addresses: Sequence[Addresses], width: int) -> Hits:
    """Take bit addresses apart."""
    tensor = np.repeat(np.arange(len(tensors)), [part.size for part in addresses])
    address = np.concatenate(addresses)
    index = address // width
    new = np.ones(index.size, dtype=np.bool_)
    new[1:] = (index[1:] != index[:-1]) | (tensor[1:] != tensor[:-1])
    return Hits(tensors, tensor, index, address - index * width, np.flatnonzero(new))


class Change(NamedTuple):
    """Values before and after of the words that are hit."""

    hits: Hits
    before: Tensor
    after: Tensor

    def record(self, kind: str) -> FaultRecord:
        """The table of the faults."""
        hits = self.hits
        word = np.repeat(np.arange(hits.first.size), np.diff(hits.first, append=hits.index.size))
        return FaultRecord(
            kind=kind,
            names=tuple(item.name for item in hits.tensors),
            tensor=hits.tensor,
            index=hits.index,
            bit=hits.bit,
            before=self.before.to(torch.float64).numpy()[word],
            after=self.after.to(torch.float64).numpy()[word],
        )


def plan(hits: Hits, fault: FaultModel, format: Format) -> tuple[list[Patch], Change]:  # noqa: A002 - as in inject
    """Everything that applying needs, computed before anything is changed."""
    tensors = [item.tensor for item in hits.tensors]
    dtype, device = tensors[0].dtype, tensors[0].device
    counts = np.bincount(hits.tensor[hits.first], minlength=len(tensors)).tolist()
    positions = torch.from_numpy(_positions(hits, tensors, counts)).to(device).split(counts)
    words = [storage_words(tensor) for tensor in tensors]
    before = [all_.index_select(0, hit) for all_, hit in zip(words, positions, strict=True)]
    values = torch.cat(before).cpu().view(dtype)
    ones = np.left_shift(np.uint64(1), hits.bit.astype(np.uint64))
    mask = np.bitwise_or.reduceat(ones, hits.first)
    changed = format.decode(fault.corrupt(format.encode(values), mask), dtype)
    after = changed.view(words[0].dtype).to(device).split(counts)
    patches = list(map(Patch, hits.tensors, words, positions, before, after))
    return patches, Change(hits, values, changed)


def _positions(
    hits: Hits, tensors: Sequence[Tensor], counts: Sequence[int]
) -> npt.NDArray[np.int64]:
    """Of each word that is hit, where it is in its tensor's storage."""
    index = hits.index[hits.first]
    start = 0
    for tensor, count in zip(tensors, counts, strict=True):
        part = slice(start, start := start + count)
        index[part] = storage_positions(tensor, index[part])
    return index
