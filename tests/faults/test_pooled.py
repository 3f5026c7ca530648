import numpy as np
import pytest

from clipact.errors import FaultError
from clipact.faults import wilson
from clipact.faults._numbers._pooled import pooled_rate, rate_interval, trial_mean


def test_whole_trials_have_the_interval_of_wilson():
    # shares of 0 and 1 are one outcome each; Student's quantile comes to the normal one, and T / (T - 1) to 1
    shares = (np.arange(20_000) < 700).astype(np.float64)
    found = pooled_rate(shares)
    assert found.estimate == 0.035
    assert (found.low, found.high) == pytest.approx(wilson(700, 20_000), rel=1e-3)


def test_ratio_of_trials_with_unequal_samples():
    found = pooled_rate(np.array([0.5, 0.0, 0.1]), np.array([10, 30, 60]))
    assert found.estimate == pytest.approx(11 / 100)
    residuals = np.array([10 * 0.39, 30 * -0.11, 60 * -0.01])
    variance = (residuals**2).sum() / 100**2 * 3 / 2
    expected = rate_interval(found.estimate, variance, 2, 3, 0.95)
    assert found.low == pytest.approx(expected.low)
    assert found.high == pytest.approx(expected.high)
    alike = pooled_rate(np.array([0.5, 0.0, 0.1]), np.array([7, 7, 7]))
    assert alike.high == pytest.approx(pooled_rate(np.array([0.5, 0.0, 0.1])).high)


def test_trials_that_are_all_alike_count_once_each():
    for share in (0.0, 1.0):
        found = pooled_rate(np.full(50, share))
        assert (found.low, found.high) == pytest.approx(wilson(int(50 * share), 50))
    half = pooled_rate(np.full(50, 0.5))
    assert (half.low, half.high) == pytest.approx(wilson(25, 50))


def test_what_cannot_be_pooled():
    assert np.isnan(pooled_rate(np.empty(0)).estimate)
    assert np.isnan(pooled_rate(np.array([0.5, np.nan])).low)
    with pytest.raises(FaultError, match="from 0 to 1"):
        pooled_rate(np.array([0.5, 1.5]))
    with pytest.raises(FaultError, match="3 shares and 2 samples"):
        pooled_rate(np.zeros(3), np.array([1, 2]))
    with pytest.raises(FaultError, match="confidence"):
        pooled_rate(np.zeros(3), confidence=95)


def test_one_trial_says_next_to_nothing():
    found = pooled_rate(np.array([0.25]))
    assert found.low < 0.06
    assert found.high > 0.75


def test_means_of_other_values_are_students():
    values = np.array([1.0, 3.0, 5.0, 7.0])
    found = trial_mean(values, 0.95)
    half = 3.1824463 * values.std(ddof=1) / 2  # t of 3 degrees of freedom
    assert (found.low, found.high) == pytest.approx((4 - half, 4 + half), abs=1e-6)
    assert trial_mean(np.array([0.1, 0.9]), 0.95) == pooled_rate(np.array([0.1, 0.9]))
    assert np.isnan(trial_mean(np.array([1.0, np.inf]), 0.95).estimate)
    assert trial_mean(np.full(5, 3.0), 0.95).low == 3.0


@pytest.mark.parametrize(
    ("hit", "a", "b", "trials"),
    [(1.0, 2, 20, 100), (0.2, 0.5, 0.5, 100), (0.05, 0.5, 0.5, 1000), (1.0, 0.3, 0.3, 30)],
    ids=["every trial a bit", "one in five", "one in twenty", "nothing or nearly all"],
)
def test_coverage_holds_where_images_taken_as_independent_fail(hit, a, b, trials):
    images, campaigns = 500, 1500
    generator = np.random.default_rng(7)
    known = hit * a / (a + b)
    covered = naive = 0
    for _ in range(campaigns):
        rates = np.where(generator.random(trials) < hit, generator.beta(a, b, trials), 0.0)
        events = generator.binomial(images, rates)
        found = pooled_rate(events / images)
        covered += found.low <= known <= found.high
        low, high = wilson(int(events.sum()), images * trials)
        naive += low <= known <= high
    assert 0.93 <= covered / campaigns <= 0.97
    assert naive / campaigns < 0.45
