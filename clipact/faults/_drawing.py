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

    def expected(self, places: "Sequence[Places]") -> float:
        """Expected number of hits."""
        if self.count is not None:
            return float(self.count)
        return (self.rate or 0.0) * sum(number for _, number in places)


class Drawn(NamedTuple):
    """The places that are hit.

    Attributes:
        place: Tensor by tensor, within each sorted and distinct, and numbered as in the tensor.
        sizes: How many are of each tensor.
    """

    place: Indices
    sizes: Indices


def draw_places(
    places: Sequence[Places], amount: Amount, draw: Draw, *, what: str = "bits"
) -> Drawn:
    """The places that are hit in each tensor.

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
        FaultError: There are fewer places than the count, or none at all.
    """
    if not any(number for _, number in places):
        raise FaultError(f"no tensor of the target has any {what}, so that nothing can be hit")
    if amount.count is not None:
        return _by_count(places, amount.count, draw, what)
    return _by_rate(places, amount.rate or 0.0, draw)


def draw_uniform(name: str, number: int, draw: Draw) -> Numbers:
    """So many values for the words of a tensor, uniform in [0, 1): multiples of 2**-53."""
    return _unit(Streams(draw).start(name, Purpose.PAYLOAD), number)


def draw_normal(name: str, number: int, draw: Draw) -> Numbers:
    """So many values for the words of a tensor, standard normal.

    By Box and Muller ("A note on the generation of random normal deviates", 1958) from uniform values, up to 8.6 in size; the last
    bit is that of the machine's logarithm and cosine.
    """
    generator = Streams(draw).start(name, Purpose.PAYLOAD)
    first, second = _unit(generator, number), _unit(generator, number)
    return np.sqrt(-2.0 * np.log1p(-first)) * np.cos(2.0 * np.pi * second)


def draw_chance(name: str, number: int, chance: float, draw: Draw) -> Indices:
    """Which of so many cells of a tensor's faults are hit, each with this probability, independently; sorted."""
    generator = Streams(draw).start(name, Purpose.PAYLOAD)
    count = int(generator.binomial(number, chance))
    return _distinct(generator, number, count)


def _unit(generator: np.random.Generator, number: int) -> Numbers:
    words: Codes = generator.bit_generator.random_raw(number)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _by_count(places: Sequence[Places], count: int, draw: Draw, what: str) -> Drawn:
    numbers = np.array([each.number for each in places], dtype=np.int64)
    ends = np.cumsum(numbers, dtype=np.int64)
    total = int(ends[-1])
    if count > total:
        raise FaultError(
            f"{count} {what} are to be hit, but the target has {total}; lower the count"
        )
    found = _distinct(Streams(draw).start("", Purpose.ADDRESS), total, count)
    sizes = np.diff(np.searchsorted(found, ends), prepend=0)
    return Drawn(found - np.repeat(ends - numbers, sizes), sizes)


def _by_rate(places: Sequence[Places], rate: float, draw: Draw) -> Drawn:
    """As :func:`_distinct` for each tensor, but sorted in one go where a place is hardly ever drawn twice."""
    streams = Streams(draw)
    sizes = np.zeros(len(places), dtype=np.int64)
    words: list[Codes] = []
    alone: dict[int, Indices] = {}
    for tensor, (name, number) in enumerate(places):
        count = int(streams.start(name, Purpose.COUNT).binomial(number, rate))
        if count * count > number:
            alone[tensor] = _distinct(streams.start(name, Purpose.ADDRESS), number, count)
        elif count:
            sizes[tensor] = count
            words.append(streams.start(name, Purpose.ADDRESS).bit_generator.random_raw(count))
    place, again = _sorted(places, sizes, words)
    for tensor in again:
        name, number = places[tensor]
        start = streams.start(name, Purpose.ADDRESS)
        alone[tensor] = _distinct(start, number, int(sizes[tensor]))
    if not alone:
        return Drawn(place, sizes)
    parts = np.split(place, np.cumsum(sizes)[:-1])
    chosen = [alone.get(tensor, part) for tensor, part in enumerate(parts)]
    return Drawn(np.concatenate(chosen), np.array([part.size for part in chosen]))


def _sorted(
    places: Sequence[Places], sizes: Indices, words: Sequence[Codes]
) -> tuple[Indices, list[int]]:
    """Places from random words, tensor by tensor, and the tensors that must be drawn one by one: a place came twice."""
    if not words:
        return np.empty(0, dtype=np.int64), []
    numbers = np.array([number for _, number in places], dtype=np.uint64)
    start = np.repeat(np.cumsum(numbers) - numbers, sizes)
    word = np.concatenate(words)
    if word.max() > np.uint64(
        2**64 - 1 - max(numbers.tolist())
    ):  # one may be past the last full range
        return start.astype(np.int64), np.flatnonzero(sizes).tolist()
    place = np.sort(word % np.repeat(numbers, sizes) + start)
    twice = place[1:] == place[:-1]
    again: list[int] = []
    if twice.any():
        owner = np.repeat(np.arange(len(places)), sizes)[1:]
        again = np.unique(owner[twice]).tolist()
    return (place - start).astype(np.int64), again


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
