"""The words of a tensor that faults hit: the one form in which faults are drawn, stored, shared and applied."""

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Indices: TypeAlias = npt.NDArray[np.int64]
Codes: TypeAlias = npt.NDArray[np.uint64]
Numbers: TypeAlias = npt.NDArray[np.float64]


class BitSpace(NamedTuple):
    """The bits of one tensor, or of one sample of an activation.

    Attributes:
        name: The tensor's dotted name.
        shape: Its shape.
        width: Bits a word has in the number format; bit 0 is the least significant.
    """

    name: str
    shape: tuple[int, ...]
    width: int

    @property
    def words(self) -> int:
        """Number of words."""
        return prod(self.shape)

    @property
    def bits(self) -> int:
        """Number of bits."""
        return self.words * self.width


class Hits(NamedTuple):
    """The words of one tensor that are hit.

    Attributes:
        index: Their flat indices in logical (row-major) order, rising, each once, shape ``(words,)``.
        mask: Of each word, a one at every bit that is hit, shape ``(words,)``.
        payload: What the fault model drew for each word besides, shape ``(words,)``; None where it drew nothing.
    """

    index: Indices  # pyright: ignore[reportIncompatibleMethodOverride] - nobody looks for an item in this tuple
    mask: Codes
    payload: Numbers | None = None


NO_HITS = Hits(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint64))


def bit_hits(
    place: Indices, sizes: Indices, per_word: Sequence[int], positions: Indices | None = None
) -> list[Hits]:
    """The hits of bits.

    Args:
        place: Of each bit ``flat index * per_word + place in the word``, tensor by tensor, sorted and distinct in each.
        sizes: How many bits of each tensor are hit.
        per_word: Of each tensor, how many bits of a word may be hit.
        positions: Which bits these are, by place in the word; None where place and position are the same.
    """
    if not place.size:
        return [NO_HITS] * len(sizes)
    alike = len(set(per_word)) == 1
    divisor = np.int64(per_word[0]) if alike else np.repeat(np.array(per_word, np.int64), sizes)
    index = place // divisor
    bit = place - index * divisor
    if positions is not None:
        bit = positions[bit]
    ends = np.cumsum(sizes)
    new = np.ones(index.size + 1, dtype=np.bool_)
    new[1:-1] = index[1:] != index[:-1]
    new[ends] = True
    first = np.flatnonzero(new[:-1])
    mask = np.bitwise_or.reduceat(np.left_shift(np.uint64(1), bit.astype(np.uint64)), first)
    index = index[first]
    cuts = [0, *np.searchsorted(first, ends).tolist()]
    return [Hits(index[a:b], mask[a:b]) for a, b in pairwise(cuts)]


def merged(index: Indices, mask: Codes) -> Hits:
    """The hits of words in any order, each perhaps several times; a bit is hit once."""
    order = np.argsort(index, kind="stable")
    index, mask = index[order], mask[order]
    first = np.flatnonzero(np.diff(index, prepend=-1))
    return Hits(index[first], np.bitwise_or.reduceat(mask, first)) if first.size else NO_HITS


def bits_hit(hits: Sequence[Hits]) -> int:
    """Number of bits that are hit in some tensors."""
    masks = b"".join([one.mask.tobytes() for one in hits])
    return int.from_bytes(masks, "little").bit_count()


def hit_words(parts: Sequence[Hits]) -> Indices:
    """Flat indices of the words of one tensor that are hit by any part, rising, each once."""
    if len(parts) == 1:
        return parts[0].index
    return np.unique(np.concatenate([part.index for part in parts]))


def places_among(words: Sequence[Indices], hits: Sequence[Hits]) -> Indices:
    """Where the words that are hit are among other words, tensor by tensor; they are all among them."""
    starts = np.cumsum([0, *(index.size for index in words[:-1])])
    each = zip(starts, words, hits, strict=True)
    return np.concatenate([start + np.searchsorted(index, one.index) for start, index, one in each])


def digest(spaces: Sequence[BitSpace], hits: Sequence[Sequence[Hits]]) -> str:
    """A hash of what is hit; equal for equal faults.

    Args:
        spaces: Of each tensor.
        hits: Of each part of the fault model, the hits of each tensor.
    """
    found: list[bytes] = []
    for place, part in enumerate(hits):
        for space, one in zip(spaces, part, strict=True):
            if one.index.size:
                found.append(f"{place}/{space.name}/{one.index.size}/".encode())
                found.extend(column.tobytes() for column in one if column is not None)
    return hashlib.sha256(b"".join(found)).hexdigest()[:16]
