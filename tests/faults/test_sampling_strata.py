import numpy as np
import pytest

from clipact.faults._hits import BitSpace
from clipact.faults._sampling._allocation import apportion, neyman_weights
from clipact.faults._sampling._by import by_bit, by_tensor, by_tensor_and_bit
from clipact.faults._sampling._cells import Cells
from clipact.faults._sampling._design import Design
from clipact.faults._sampling._merging import merged
from clipact.faults._sampling._moments import moments, smoothed_variances

SPACES = [BitSpace("a", (40,), 32), BitSpace("b", (3, 5), 32), BitSpace("c", (7,), 16)]


def cells_of(by):
    return Cells(SPACES, [range(space.width) for space in SPACES], by)


@pytest.mark.parametrize("by", [by_bit, by_tensor, by_tensor_and_bit])
def test_cells_have_every_bit_once(by):
    cells = cells_of(by)
    found = set()
    for cell, size in enumerate(cells.sizes.tolist()):
        for place in range(size):
            hits = cells.hits(cell, place)
            ((space, hit),) = [(s, h) for s, h in enumerate(hits) if h.index.size]
            found.add((space, int(hit.index[0]), int(hit.mask[0])))
        with pytest.raises(IndexError):
            cells.hits(cell, size)
    assert len(found) == sum(space.bits for space in SPACES) == cells.sizes.sum()
    assert len(set(cells.names)) == cells.sizes.size


def test_cells_of_one_bit_are_a_family():
    cells = cells_of(by_tensor_and_bit)
    bits = [name.rpartition("/")[2] for name in cells.names]
    for one in range(cells.sizes.size):
        for two in range(cells.sizes.size):
            assert (cells.families[one] == cells.families[two]) == (bits[one] == bits[two])
    assert set(cells_of(by_bit).families.tolist()) == {0}


def test_the_layout_says_which_bits_are_where():
    layouts = [cells_of(by).layout for by in (by_bit, by_tensor, by_tensor_and_bit)]
    assert len(set(layouts)) == 3
    assert cells_of(by_bit).layout == layouts[0]


def groups(expected, families):
    return [group.tolist() for group in merged(np.array(expected, dtype=float), np.array(families))]


def test_nothing_is_merged_with_trials_enough():
    assert groups([2, 3, 50, 2], [0, 0, 1, 1]) == [[0], [1], [2], [3]]


def test_neighbours_of_a_family_go_together_first():
    assert groups([1, 1, 5, 0.5, 3, 3, 0.4], [0, 0, 0, 1, 1, 1, 1]) == [
        [0, 1], [2], [3, 4], [5, 6],
    ]  # fmt: skip


def test_families_go_together_where_they_have_too_few():
    assert groups([0.5, 0.5, 0.7, 0.7, 9], [0, 0, 1, 1, 2]) == [[0, 1, 2, 3], [4]]
    assert groups([0.1, 0.1], [0, 1]) == [[0, 1]]


def test_cells_of_a_family_need_not_be_neighbours():
    assert groups([2, 1, 2, 1], [0, 1, 0, 1]) == [[0], [2], [1, 3]]


def test_two_equal_shares_are_two_in_spite_of_rounding():
    assert len(groups([0.1] * 40, [0] * 40)) == 2


@pytest.mark.parametrize("total", [0, 1, 7, 100, 1234, 5000])
def test_apportioned_numbers_keep_sum_and_limits(total):
    generator = np.random.default_rng(total)
    weights = generator.exponential(size=50) ** 3 + 1e-9
    most = generator.integers(2, 100, 50)
    least = np.minimum(2, most)
    found = apportion(total, weights, least, most)
    assert found.sum() == min(total, most.sum())
    assert (found <= most).all()
    if total >= least.sum():
        assert (found >= least).all()


def test_apportioned_numbers_are_largest_remainders():
    plenty = np.full(3, 100)
    found = apportion(10, np.array([3.3, 3.3, 3.4]), np.zeros(3, np.int64), plenty)
    assert found.tolist() == [3, 3, 4]
    # what one cannot take, the others share
    found = apportion(10, np.array([1.0, 1.0, 8.0]), np.zeros(3, np.int64), np.array([9, 9, 2]))
    assert found.tolist() == [4, 4, 2]


def test_neyman_weights_go_by_size_and_deviation_and_never_to_nothing():
    sizes = np.array([0.5, 0.25, 0.25])
    found = neyman_weights(sizes, np.array([0.0, 0.1, 0.3]))
    assert found.sum() == pytest.approx(1)
    assert found == pytest.approx([0.05, 0.9 * 0.25 + 0.025, 0.9 * 0.75 + 0.025])
    assert neyman_weights(sizes, np.zeros(3)) == pytest.approx(sizes)


def test_smoothed_variances():
    strata = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    values = np.array([0, 0, 0, 0, 1, 1, 0, 0, 0], dtype=float)
    families = np.array([0, 0, 1])
    found = smoothed_variances(moments(strata, values, 3), families, 1.0, shares=True)
    everything = 2.5 / 10
    family = (2 + everything) / 7
    for stratum, hits in ((0, 0), (1, 2)):
        p = (hits + family) / 4
        assert found[stratum] == pytest.approx(p * (1 - p))
    p = (everything / 4) / 4
    assert found[2] == pytest.approx(p * (1 - p))
    assert (found > 0).all()


def test_smoothed_variances_of_other_values_come_to_the_plain_ones():
    generator = np.random.default_rng(0)
    strata = np.repeat([0, 1], 5000)
    values = generator.normal([[3.0], [50.0]], [[1.0], [2.0]], (2, 5000)).ravel()
    found = smoothed_variances(moments(strata, values, 2), np.array([0, 1]), 1.0, shares=False)
    assert found == pytest.approx([1.0, 4.0], rel=0.1)


def test_trials_of_a_design_are_proportional_and_balanced_all_along():
    sizes, families = np.array([100, 300, 600, 10_000]), np.zeros(4, dtype=np.int64)
    trials = Design(sizes, families, 0, 1000, 0.0).first_trials()
    counts = np.bincount(trials % 4)
    assert np.abs(counts - 1000 * sizes / sizes.sum()).max() < 1
    half = np.bincount(trials[:500] % 4, minlength=4)
    assert np.abs(half - counts / 2).max() <= 0.1 * counts.max()
    assert sorted((trials // 4)[trials % 4 == 2]) == list(range(counts[2]))


def test_merged_cells_are_drawn_by_size():
    # 3 cells of one stratum: 2 draws, over many seeds
    sizes, families = np.array([10, 30, 60]), np.zeros(3, dtype=np.int64)
    counts = np.zeros(3)
    for seed in range(3000):
        trials = Design(sizes, families, seed, 2, 0.0).first_trials()
        assert trials.size == len(set(trials.tolist())) == 2
        counts += np.bincount(trials % 3, minlength=3)
    assert counts / 6000 == pytest.approx(sizes / 100, abs=0.02)


def test_a_pilot_is_a_fifth_and_goes_on_with_the_next_faults():
    sizes, families = np.array([5000, 5000]), np.arange(2)
    design = Design(sizes, families, 0, 500, 0.2)
    pilot = design.first_trials()
    assert pilot.size == 100
    values = (pilot % 2 == 1) & (pilot // 2 % 2 == 0)  # half of the second cell fails
    later = design.later_trials(pilot, values.astype(float))
    assert later.size == 400
    assert not set(later.tolist()) & set(pilot.tolist())
    assert design.is_first(pilot).all()
    assert not design.is_first(later).any()
    first, second = np.bincount(later % 2)
    assert second > 3 * first > 0
    every = np.concatenate([pilot, later])
    for cell in (0, 1):
        numbers = sorted(every[every % 2 == cell] // 2)
        assert numbers == list(range(len(numbers)))


def test_values_that_are_missing_do_not_stop_the_allocation():
    design = Design(np.array([500, 500]), np.arange(2), 0, 100, 0.2)
    pilot = design.first_trials()
    values = np.full(pilot.size, np.nan)
    assert np.bincount(design.later_trials(pilot, values) % 2).tolist() == [40, 40]
    values[::2] = 1.0
    assert design.later_trials(pilot, values).size == 80


def test_more_trials_than_bits_are_all_bits():
    for pilot in (0.0, 0.3):
        design = Design(np.array([3, 50]), np.arange(2), 0, 10**6, pilot)
        first = design.first_trials()
        later = design.later_trials(first, np.zeros(first.size)) if pilot else first[:0]
        assert first.size + later.size == 53


@pytest.mark.parametrize("trials", [1, 2, 3, 10, 63, 64, 65])
@pytest.mark.parametrize("pilot", [0.0, 0.2])
def test_any_number_of_trials_will_do(trials, pilot):
    cells = cells_of(by_tensor_and_bit)
    design = Design(cells.sizes, cells.families, 0, trials, pilot)
    first = design.first_trials()
    later = design.later_trials(first, np.ones(first.size)) if pilot else first[:0]
    assert first.size + later.size == trials
