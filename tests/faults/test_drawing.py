import itertools

import numpy as np
import pytest

from clipact.errors import FaultError
from clipact.faults import BitFlip
from clipact.faults._drawing import _distinct
from clipact.faults._hits import BitSpace
from clipact.faults._streams import Draw

SPACES = [BitSpace("a", (100,), 32), BitSpace("b", (7,), 16), BitSpace("c", (1,), 32)]


def draw(fault, seed=0, trial=0, spaces=SPACES):
    """Bit addresses."""
    hits = fault.draw(spaces, Draw(seed, trial))
    return [addresses(one, space.width) for one, space in zip(hits, spaces, strict=True)]


def addresses(hits, width):
    bits = np.arange(width, dtype=np.uint64)
    place, bit = np.nonzero(hits.mask[:, None] >> bits & np.uint64(1))
    return hits.index[place] * width + bit


def chi_square_limit(freedom):
    """The 99.99 % quantile, by Wilson and Hilferty."""
    return freedom * (1 - 2 / (9 * freedom) + 3.719 * (2 / (9 * freedom)) ** 0.5) ** 3


@pytest.mark.parametrize(
    ("rate", "width"), [(1e-4, 32), (0.4, 32), (0.003, 1), (0.003, 8), (0.003, 16), (0.003, 64)]
)
def test_counts_are_binomial_over_all_bits(rate, width):
    spaces = [BitSpace("a", (40,), width), BitSpace("b", (9,), 16)]
    n, seeds = sum(s.bits for s in spaces), 2000
    counts = np.array(
        [sum(len(a) for a in draw(BitFlip(rate=rate), seed, 3, spaces)) for seed in range(seeds)]
    )
    pmf = np.zeros(n + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    k = np.arange(n + 1)
    pmf = np.exp(logs[n] - logs[k] - logs[n - k] + k * np.log(rate) + (n - k) * np.log1p(-rate))
    edges = [
        0,
        *(e for e in np.unique(np.searchsorted(np.cumsum(pmf), np.linspace(0.02, 0.98, 13)) + 1)),
        n + 1,
    ]
    expected = seeds * np.array([pmf[a:b].sum() for a, b in itertools.pairwise(edges)])
    observed = np.histogram(counts, bins=edges)[0].astype(float)
    observed[-1] += np.count_nonzero(counts >= edges[-1])
    big = expected >= 5
    statistic = ((observed - expected) ** 2 / expected)[big].sum()
    assert big.sum() >= 2 or rate < 1e-3
    assert statistic < chi_square_limit(max(1, big.sum() - 1))


@pytest.mark.parametrize("width", [1, 8, 16, 32, 64])
@pytest.mark.parametrize("fault", [BitFlip(rate=0.05), BitFlip(count=6)])
def test_addresses_are_uniform_over_all_bits(fault, width):
    spaces = [BitSpace("a", (5,), width), BitSpace("b", (3,), 16), BitSpace("c", (1,), 8)]
    hits = np.zeros(sum(s.bits for s in spaces))
    starts = np.cumsum([0, *(s.bits for s in spaces)])
    seeds = 2000
    for seed in range(seeds):
        for start, addresses in zip(starts, draw(fault, seed, 0, spaces), strict=False):
            hits[start + addresses] += 1
    p = hits.sum() / seeds / hits.size
    statistic = ((hits - seeds * p) ** 2 / (seeds * p * (1 - p))).sum()
    assert statistic < chi_square_limit(hits.size)


@pytest.mark.parametrize(
    "fault", [BitFlip(rate=0.3), BitFlip(rate=0.7), BitFlip(count=1700), BitFlip(count=3000)]
)
def test_addresses_are_distinct_sorted_and_in_range(fault):
    for space, addresses in zip(SPACES, draw(fault), strict=True):
        assert addresses.dtype == np.int64
        assert np.all(np.diff(addresses) > 0)
        assert addresses.size == 0 or (addresses[0] >= 0 and addresses[-1] < space.bits)


def test_all_none_and_exactly_so_many():
    total = sum(space.bits for space in SPACES)
    assert [len(a) for a in draw(BitFlip(rate=1.0))] == [space.bits for space in SPACES]
    assert sum(len(a) for a in draw(BitFlip(rate=0.0))) == 0
    for count in (0, 1, total // 2, total // 2 + 1, total):
        assert sum(len(a) for a in draw(BitFlip(count=count))) == count


def test_more_bits_than_there_are():
    with pytest.raises(FaultError, match=r"3345 bits are to be hit, but the target has 3344"):
        draw(BitFlip(count=3345))


def test_a_trial_is_a_pure_function_of_seed_and_number():
    fault = BitFlip(rate=0.05)
    first = draw(fault, 5, 7)
    draw(fault, 1, 1)
    assert all(np.array_equal(a, b) for a, b in zip(first, draw(fault, 5, 7), strict=True))
    for other in (draw(fault, 5, 8), draw(fault, 6, 7), draw(fault, 57, 0)):
        assert not np.array_equal(first[0], other[0])


def test_a_tensor_meets_the_same_faults_whatever_else_is_there():
    more = [BitSpace("new", (50,), 32), SPACES[1], SPACES[0]]
    alone, among = draw(BitFlip(rate=0.02)), draw(BitFlip(rate=0.02), spaces=more)
    assert np.array_equal(alone[0], among[2])
    assert np.array_equal(alone[1], among[1])


def test_faults_of_a_lower_rate_are_among_those_of_a_higher():
    for trial in range(20):
        low = draw(BitFlip(rate=0.01), trial=trial)[0]
        high = draw(BitFlip(rate=0.2), trial=trial)[0]
        assert np.isin(low, high).all()


def test_the_stream_has_not_changed():
    # frozen when written: stored results must stay replayable
    assert draw(BitFlip(count=5))[0].tolist() == [601, 1705, 2791, 2878, 2885]
    assert draw(BitFlip(rate=0.002))[0].tolist() == [163, 1341, 1385, 1485, 1730, 2176, 2218, 2382]


def test_cost_grows_with_the_faults_not_with_the_bits():
    space = [BitSpace("huge", (10**15,), 64)]
    addresses = draw(BitFlip(rate=1e-15), spaces=space)[0]
    assert 10 < addresses.size < 200
    assert draw(BitFlip(count=3), spaces=space)[0].size == 3


def test_words_past_the_last_full_range_are_dropped():
    class Raw:
        def __init__(self, words):
            self.words = list(words)
            self.bit_generator = self

        def random_raw(self, count):
            taken, self.words = self.words[:count], self.words[count:]
            return np.array(taken, dtype=np.uint64)

    top = 2**64 - 1  # 2**64 % 10 == 6: the last six words would favour 0 to 5
    assert _distinct(Raw([top, top - 5, 3, 3, top - 6, 12]), 10, 3).tolist() == [2, 3, 9]
