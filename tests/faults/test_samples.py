"""Which sample a trial sees."""

import numpy as np

from clipact.faults._running._samples import Samples, Seat


def test_each_sample_once_a_round():
    samples = Samples([3, 5, 2], seed=4)
    assert samples.count == 10
    every = {Seat(batch, row) for batch, size in enumerate([3, 5, 2]) for row in range(size)}
    for start in (0, 10, 70):
        assert {samples.seat(trial) for trial in range(start, start + 10)} == every


def test_a_pure_function_of_seed_and_trial():
    one, two, other = (Samples([4, 4], seed) for seed in (1, 1, 2))
    forwards = [one.seat(trial) for trial in range(32)]
    assert [two.seat(trial) for trial in reversed(range(32))] == forwards[::-1]
    assert [other.seat(trial) for trial in range(32)] != forwards
    assert forwards[:8] != forwards[8:16]


def test_every_order_is_as_likely():
    firsts = [Samples([4], seed).seat(0).row for seed in range(2000)]
    counts = np.bincount(firsts, minlength=4)
    assert float(((counts - 500) ** 2 / 500).sum()) < 21  # chi-square of 3 degrees: 99.99 %
