import numpy as np
import pytest

from clipact.faults._sampling._order import order_keys, shuffled, shuffled_one


def some_keys(number, seed=0):
    raw = np.random.Philox(key=seed).random_raw(80 * number)
    return raw.reshape(number, 80)


@pytest.mark.parametrize("length", [1, 2, 3, 31, 1000, 4097])
def test_every_number_once(length):
    found = shuffled(order_keys("a", 0), length, np.arange(length))
    assert sorted(found.tolist()) == list(range(length))


@pytest.mark.parametrize("length", [1, 5, 1000, 2**31 + 7, 10**15])
def test_one_place_is_that_of_all(length):
    keys = order_keys("b", 3)
    places = [0, length // 3, length - 1]
    every = shuffled(keys, length, np.array(places)).tolist()
    assert [shuffled_one(keys, length, place) for place in places] == every


def test_orders_differ_by_name_and_seed():
    orders = [
        tuple(shuffled(order_keys(name, seed), 100, np.arange(100)).tolist())
        for name in "ab"
        for seed in (0, 1)
    ]
    assert len(set(orders)) == 4


def chi_square(values, cells):
    counts = np.bincount(values, minlength=cells)
    expected = len(values) / cells
    return float(((counts - expected) ** 2 / expected).sum())


def test_each_place_is_uniform():
    found = [[shuffled_one(keys, 30, place) for place in (0, 17)] for keys in some_keys(9000)]
    for column in np.array(found).T:
        assert 8 < chi_square(column, 30) < 67  # 29 degrees of freedom: 0.01 % to 99.99 %


def test_pairs_are_uniform_too():
    found = [[shuffled_one(keys, 6, place) for place in (1, 4)] for keys in some_keys(9000, 1)]
    pairs = [6 * one + two for one, two in found]
    assert all(one != two for one, two in found)
    counts = np.bincount(pairs, minlength=36)[
        [6 * i + j for i in range(6) for j in range(6) if i != j]
    ]
    chi = float(((counts - 300) ** 2 / 300).sum())
    assert 8 < chi < 67


def test_neighbours_part():
    # places next to each other stand far apart, and not at a constant distance
    found = shuffled(order_keys("c", 0), 10**6, np.arange(2000))
    steps = np.diff(found) % 10**6
    assert np.unique(steps).size > 1990
    assert 0.4e6 < steps.mean() < 0.6e6
