r"""Which places are hit: exact draws over a whole space, at a cost in proportion to the number of faults.

A place is where a fault may be: a bit, a word, the start of a burst. Let every place of the target be hit independently
with probability :math:`p`. Then a tensor of :math:`N` places has :math:`K \sim \mathrm{Binomial}(N, p)` faults at
:math:`K` *distinct* places, uniform over all. Drawn tensor by tensor, the total is binomial over all places of the target,
since a sum of binomials of one :math:`p` is binomial.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np

from clipact.errors import FaultError
from clipact.faults._hits import Codes, Indices, Numbers
from clipact.faults._streams import Draw, Purpose, Streams


class Places(NamedTuple):
    """The places of one tensor, numbered from 0.

    Attributes:
        name: The tensor's dotted name.
        number: How many there are.
    """

    name: str
    number: int


@final
@dataclass(frozen=True)
class Amount:
    """How many places are hit: a probability for each, or a number of them in all. One of the two is None."""

    rate: float | None
    count: int | None

    def expected(self, number: int) -> float:
        """Expected number of hits among so many places."""
        return (self.rate or 0.0) * number if self.count is None else float(self.count)


def draw_places(
    places: Sequence[Places], amount: Amount, draw: Draw, *, what: str = "bits"
) -> list[Indices]:
    """The places that are hit in each tensor, sorted and distinct.

    By rate, each tensor has streams of its own, keyed by its name: what other tensors the target has changes nothing.
    In one trial, up to half of a tensor's places, the smaller of two draws is a subset of the larger. That is nearly
    always the one of the lower rate, not always: the two binomial counts come from one stream, but are not monotone in the
    rate. By count, the places are uniform over those of all tensors together.

    Args:
        places: Of each tensor.
        amount: How many.
        draw: Of what the result is a function.
        what: What a place is, for the error message.

    Raises:
        FaultError: There are fewer places than the count.
    """
    streams = Streams(draw)
    if amount.count is not None:
        return _by_count(places, amount.count, streams, what)
    return [_by_rate(each, amount.rate or 0.0, streams) for each in places]


def draw_uniform(name: str, number: int, draw: Draw) -> Numbers:
    """So many values for the words of a tensor, uniform in [0, 1): multiples of 2**-53."""
    generator = Streams(draw).start(name, Purpose.PAYLOAD)
    words: Codes = generator.bit_generator.random_raw(number)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _by_count(places: Sequence[Places], count: int, streams: Streams, what: str) -> list[Indices]:
    numbers = np.array([each.number for each in places], dtype=np.int64)
    ends = np.cumsum(numbers, dtype=np.int64)
    total = int(ends[-1])
    if count > total:
        raise FaultError(
            f"{count} {what} are to be hit, but the target has {total}; lower the count"
        )
    found = _distinct(streams.start("", Purpose.ADDRESS), total, count)
    parts = np.split(found, np.searchsorted(found, ends)[:-1])
    return [part - start for part, start in zip(parts, ends - numbers, strict=True)]


def _by_rate(places: Places, rate: float, streams: Streams) -> Indices:
    count = int(streams.start(places.name, Purpose.COUNT).binomial(places.number, rate))
    if count == 0:
        return np.empty(0, dtype=np.int64)
    return _distinct(streams.start(places.name, Purpose.ADDRESS), places.number, count)


def _distinct(generator: np.random.Generator, population: int, count: int) -> Indices:
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


def _uniform(generator: np.random.Generator, population: int, count: int) -> Indices:
    """At most ``count`` values, uniform and unbiased: words of 64 random bits past the last full range are dropped.

    Made from the bit generator's own output, which NumPy keeps stable; that of ``Generator.integers`` it does not.
    """
    last = np.uint64(2**64 - 2**64 % population - 1)
    words: Codes = generator.bit_generator.random_raw(count)
    return (words[words <= last] % np.uint64(population)).astype(np.int64)
