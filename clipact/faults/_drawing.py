r"""Which bits are hit: exact draws over a whole space of bits, at a cost in proportion to the number of faults.

Let every bit of the target be flipped independently with probability :math:`p`. Then a tensor of :math:`N` bits has
:math:`K \sim \mathrm{Binomial}(N, p)` faults at :math:`K` *distinct* addresses, uniform over the bits. Drawn tensor by
tensor, the total is binomial over all bits of the target, since a sum of binomials of one :math:`p` is binomial.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from clipact.errors import FaultError
from clipact.faults._streams import Purpose, Streams

Addresses: TypeAlias = npt.NDArray[np.int64]


class BitSpace(NamedTuple):
    """The bits of one tensor; a bit's address is ``flat index * width + bit``, bit 0 the least significant.

    Attributes:
        name: The tensor's dotted name.
        words: Number of elements.
        width: Bits an element has in the number format.
    """

    name: str
    words: int
    width: int

    @property
    def bits(self) -> int:
        """Number of bits."""
        return self.words * self.width


@dataclass(frozen=True)
class Draw:
    """What a draw is a pure function of, besides the space."""

    seed: int
    trial: int


def draw_by_rate(spaces: Sequence[BitSpace], rate: float, draw: Draw) -> list[Addresses]:
    """Hit every bit with probability ``rate``, independently.

    Each tensor has streams of its own, keyed by its name: what other tensors the target has changes nothing. In
    one trial, up to half of a tensor's bits, the smaller of two draws is a subset of the larger. That is nearly always the one
    of the lower rate, not always: the two binomial counts come from one stream, but are not monotone in the rate.
    """
    streams = Streams(draw.seed, draw.trial)
    return [_draw_tensor(space, rate, streams) for space in spaces]


def draw_by_count(spaces: Sequence[BitSpace], count: int, draw: Draw) -> list[Addresses]:
    """Hit exactly ``count`` distinct bits, uniform over the bits of all tensors together.

    Raises:
        FaultError: There are fewer bits.
    """
    ends = np.cumsum([space.bits for space in spaces], dtype=np.int64)
    total = int(ends[-1])
    if count > total:
        raise FaultError(f"{count} bits are to be hit, but the target has {total}; lower the count")
    streams = Streams(draw.seed, draw.trial)
    addresses = _distinct(streams.start("", Purpose.ADDRESS), total, count)
    cuts = np.searchsorted(addresses, ends)
    starts = ends - np.array([space.bits for space in spaces], dtype=np.int64)
    parts = np.split(addresses, cuts[:-1])
    return [part - start for part, start in zip(parts, starts, strict=True)]


def _draw_tensor(space: BitSpace, rate: float, streams: Streams) -> Addresses:
    count = int(streams.start(space.name, Purpose.COUNT).binomial(space.bits, rate))
    if count == 0:
        return np.empty(0, dtype=np.int64)
    return _distinct(streams.start(space.name, Purpose.ADDRESS), space.bits, count)


def _distinct(generator: np.random.Generator, population: int, count: int) -> Addresses:
    """The first ``count`` distinct values of the stream, sorted; beyond half the population, all but the first others."""
    if count > population // 2:
        kept = np.ones(population, dtype=np.bool_)
        kept[_distinct(generator, population, population - count)] = False
        return np.flatnonzero(kept)
    drawn = _uniform(generator, population, count)
    while True:
        found = np.sort(drawn)
        if found.size == count and bool((found[1:] != found[:-1]).all()):
            return found
        drawn = drawn[np.sort(np.unique(drawn, return_index=True)[1])]
        drawn = np.concatenate([drawn, _uniform(generator, population, count - drawn.size)])


def _uniform(generator: np.random.Generator, population: int, count: int) -> Addresses:
    """At most ``count`` values, uniform and unbiased: words of 64 random bits past the last full range are dropped.

    Made from the bit generator's own output, which NumPy keeps stable; that of ``Generator.integers`` it does not.
    """
    last = np.uint64(2**64 - 2**64 % population - 1)
    words: npt.NDArray[np.uint64] = generator.bit_generator.random_raw(count)
    return (words[words <= last] % np.uint64(population)).astype(np.int64)
