"""The finest strata: every bit of the target is in one of them, and has a place there."""

import hashlib
from collections.abc import Hashable, Sequence
from typing import NamedTuple, final

import numpy as np

from clipact.errors import FaultError
from clipact.faults._hits import BitSpace, Hits
from clipact.faults._results._kept import Integers
from clipact.faults._sampling._by import By
from clipact.faults._sampling._single import single_hit


class Part(NamedTuple):
    """One bit position of one tensor.

    Attributes:
        space: Place of the tensor.
        bit: The position.
        words: How many there are.
    """

    space: int
    bit: int
    words: int


@final
class Cells:
    """The bits of the target by key; the places of a cell are those of its parts, one after the other.

    Args:
        spaces: The bits of each tensor.
        positions: Of each tensor, the bits of a word that may be hit.
        by: Says in which cell a bit is.

    Attributes:
        names: Of each cell, its first tensor and bit, which no other cell has.
        sizes: Of each cell, the number of bits.
        families: Of each cell, a number that it shares with those whose keys are equal up to the last entry.
        layout: A hash of which bits are in which cell.
    """

    def __init__(
        self, spaces: Sequence[BitSpace], positions: Sequence[Sequence[int]], by: By
    ) -> None:
        self._spaces = len(spaces)
        parts: dict[Hashable, list[Part]] = {}
        hits = [set(bits) for bits in positions]
        for bit in range(max(max(bits) for bits in positions) + 1):
            for place, space in enumerate(spaces):
                if bit in hits[place] and space.words:
                    key = _key(by, space.name, bit)
                    parts.setdefault(key, []).append(Part(place, bit, space.words))
        self._parts = list(parts.values())
        firsts = [spaces[cell[0].space].name for cell in self._parts]
        self.names = [f"{n}/{cell[0].bit}" for n, cell in zip(firsts, self._parts, strict=True)]
        self.sizes = np.array([sum(part.words for part in cell) for cell in self._parts])
        self.families = _families(list(parts))
        described = [[(spaces[p.space].name, *p[1:]) for p in cell] for cell in self._parts]
        self.layout = hashlib.sha256(repr(described).encode()).hexdigest()[:16]

    def hits(self, cell: int, place: int) -> list[Hits]:
        """The hits in each tensor of the bit at this place of a cell."""
        for part in self._parts[cell]:
            if place < part.words:
                return single_hit(self._spaces, part.space, place, part.bit)
            place -= part.words
        raise IndexError(f"cell {cell} has fewer bits")


def _key(by: By, tensor: str, bit: int) -> Hashable:
    try:
        key = by(tensor, bit)
    except Exception as error:
        raise FaultError(
            f"Stratified(by=...) raised {error!r} for bit {bit} of {tensor!r}; give a function by(tensor name, bit position)"
        ) from error
    try:
        hash(key)
    except TypeError:
        raise FaultError(
            f"Stratified(by=...) gave {key!r} for bit {bit} of {tensor}, which cannot be compared as a key; return a number, a"
            " text or a tuple of them"
        ) from None
    return key


def _families(keys: Sequence[Hashable]) -> Integers:
    several = [key[:-1] if isinstance(key, tuple) and len(key) > 1 else () for key in keys]
    numbers = {family: number for number, family in enumerate(dict.fromkeys(several))}
    return np.array([numbers[family] for family in several])
