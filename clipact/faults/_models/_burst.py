"""Bits that are next to each other and fail together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from clipact.errors import FaultError
from clipact.faults._drawing import Amount, Places, draw_chance, draw_places
from clipact.faults._hits import NO_HITS, BitSpace, Codes, Hits, Indices, merged
from clipact.faults._memory._words import Words
from clipact.faults._models._amount import as_code, check_amount, checked_number
from clipact.faults._models._lines import Extent, Lines, check_words, lines_of, split
from clipact.faults._models._model import Mechanism
from clipact.faults._streams import Draw, is_integer


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class Burst(Mechanism):
    """Neighbouring bits are inverted together: one particle upsets several cells, or a word or bit line fails.

    A burst covers adjacent bits of a word, at the same positions in each of some words: ``Burst(bits=4, …)`` four
    adjacent bits of one word, ``Burst(words=8, …)`` all bits of eight adjacent words, ``Burst(words=Extent.ROW, …)`` all
    bits of a row, ``Burst(bits=1, words=Extent.COLUMN, …)`` one bit of every word in a column. Every bit it covers is
    inverted, or with ``chance=p`` each with probability ``p``, independently: with 0.5 what is left there is random.

    A burst starts with equal probability at every position at which it fits as a whole: within a word, and within a tensor (in
    logical order, whatever the strides). ``rate`` is the probability *per starting position*, not per bit: the bit
    error rate is about ``rate`` times the bits a burst covers. A bit that two bursts cover is inverted once.

    Args:
        rate: Probability per starting position, 0 to 1.
        count: Number of bursts, at least 0.
        bits: Adjacent bits of each word; None for all.
        words: Adjacent words, or an :class:`Extent`.
        chance: Probability with which a bit that is covered is inverted.

    Raises:
        FaultError: Neither rate nor count is given, or both, or something is out of range. When drawn: a word is too narrow,
            or the target has too few starting positions.

    Examples:
        >>> Burst(bits=4, rate=1e-7)
        Burst(rate=1e-07, bits=4)
        >>> Burst(words=Extent.ROW, chance=0.5, count=1)
        Burst(count=1, words=Extent.ROW, chance=0.5)
    """

    rate: float | None = None
    count: int | None = None
    bits: int | None = None
    words: int | Extent = 1
    chance: float = 1.0

    def __post_init__(self) -> None:
        check_amount(self, self.rate, self.count, per="starting position")
        check_words(self, self.words)
        if self.bits is not None:
            if not is_integer(self.bits) or self.bits < 1:
                raise FaultError(f"Burst(bits={self.bits!r}): give the number of adjacent bits")
            object.__setattr__(self, "bits", int(self.bits))
        chance = checked_number("Burst", "chance", self.chance)
        if not 0.0 < chance <= 1.0:
            raise FaultError(f"Burst(chance={chance}): a probability per bit, above 0 and up to 1")
        object.__setattr__(self, "chance", chance)

    def __repr__(self) -> str:
        return as_code(self)

    @property
    def kind(self) -> str:
        """``"burst"``."""
        return "burst"

    def expected(self, spaces: Sequence[BitSpace]) -> float:
        """Expected number of bits that are inverted; one that two bursts cover counts twice."""
        lines = [lines_of(space.shape, self.words) for space in spaces]
        bursts = self._places(spaces, lines)
        bits = [each.length * self._bits(space) for space, each in zip(spaces, lines, strict=True)]
        total = sum(number for _, number in bursts)
        covered = sum(number * size for (_, number), size in zip(bursts, bits, strict=True))
        each = covered / total if total else 0.0
        return Amount(self.rate, self.count).expected(bursts) * each * self.chance

    def draw(self, spaces: Sequence[BitSpace], draw: Draw) -> list[Hits]:
        """See :class:`Mechanism`."""
        lines = [lines_of(space.shape, self.words) for space in spaces]
        places = self._places(spaces, lines)
        drawn = draw_places(places, Amount(self.rate, self.count), draw, what="bursts")
        found: list[Hits] = []
        for space, each, start in zip(spaces, lines, split(drawn), strict=True):
            found.append(self._hits(space, each, start, draw) if start.size else NO_HITS)
        return found

    def corrupt(self, words: Words) -> Codes:
        """Exclusive or."""
        return words.codes ^ words.mask

    def _bits(self, space: BitSpace) -> int:
        """Bits of each word in a burst."""
        bits = space.width if self.bits is None else self.bits
        if bits > space.width:
            raise FaultError(
                f"{self} is wider than a word of {space.name}, which has {space.width} bits; narrow it, or leave that"
                " tensor out with where="
            )
        return bits

    def _places(self, spaces: Sequence[BitSpace], lines: Sequence[Lines]) -> list[Places]:
        """Of each tensor the starting positions: a line, and in its words a first bit."""
        return [
            Places(space.name, each.number * (space.width - self._bits(space) + 1))
            for space, each in zip(spaces, lines, strict=True)
        ]

    def _hits(self, space: BitSpace, lines: Lines, start: Indices, draw: Draw) -> Hits:
        bits = self._bits(space)
        starts = space.width - bits + 1
        line = start // starts
        first = (start - line * starts).astype(np.uint64)
        index = lines.words(line)
        if self.chance == 1.0:
            mask = np.left_shift(np.uint64(2**bits - 1), first)
            return merged(index.reshape(-1), np.repeat(mask, lines.length))
        cell = draw_chance(space.name, index.size * bits, self.chance, draw)
        word = cell // bits
        bit = first[word // lines.length] + (cell - word * bits).astype(np.uint64)
        return merged(index.reshape(-1)[word], np.left_shift(np.uint64(1), bit))
