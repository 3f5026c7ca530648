"""The words of a tensor that faults hit: the one form in which faults are drawn, stored, shared and applied."""

import hashlib
from collections.abc import Sequence
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
    addresses: Sequence[Indices], per_word: Sequence[int], positions: Indices | None = None
) -> list[Hits]:
    """The hits of bit addresses, which are sorted and distinct.

    Args:
        addresses: Of each tensor, ``flat index * per_word + place``.
        per_word: Of each tensor, how many bits of a word may be hit.
        positions: Which bits these are, place by place; None where place and position are the same.
    """
    sizes = np.array([part.size for part in addresses])
    if not sizes.any():
        return [NO_HITS] * len(addresses)
    address = np.concatenate(addresses)
    alike = len(set(per_word)) == 1
    divisor = np.int64(per_word[0]) if alike else np.repeat(np.array(per_word, np.int64), sizes)
    index = address // divisor
    place = address - index * divisor
    ends = np.cumsum(sizes)
    new = np.ones(index.size + 1, dtype=np.bool_)
    new[1:-1] = index[1:] != index[:-1]
    new[ends] = True
    first = np.flatnonzero(new[:-1])
    bit = place if positions is None else positions[place]
    mask = np.bitwise_or.reduceat(np.left_shift(np.uint64(1), bit.astype(np.uint64)), first)
    cuts = np.searchsorted(first, ends[:-1])
    parts = zip(np.split(index[first], cuts), np.split(mask, cuts), strict=True)
    return [Hits(words, ones) for words, ones in parts]


def bits_hit(hits: Hits) -> int:
    """Number of bits that are hit."""
    return int.from_bytes(hits.mask.tobytes(), "little").bit_count()


def hit_words(parts: Sequence[Hits]) -> Indices:
    """Flat indices of the words of one tensor that are hit by any part, rising, each once."""
    if len(parts) == 1:
        return parts[0].index
    return np.unique(np.concatenate([part.index for part in parts]))


def digest(spaces: Sequence[BitSpace], hits: Sequence[Sequence[Hits]]) -> str:
    """A hash of what is hit; equal for equal faults.

    Args:
        spaces: Of each tensor.
        hits: Of each part of the fault model, the hits of each tensor.
    """
    found = hashlib.sha256()
    for place, part in enumerate(hits):
        for space, one in zip(spaces, part, strict=True):
            if one.index.size:
                found.update(f"{place}/{space.name}/{one.index.size}/".encode())
                found.update(one.index.tobytes())
                found.update(one.mask.tobytes())
                if one.payload is not None:
                    found.update(one.payload.tobytes())
    return found.hexdigest()[:16]
