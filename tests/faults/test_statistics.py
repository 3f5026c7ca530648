import math

import numpy as np
import pytest

from clipact.errors import FaultError
from clipact.faults import sample_size, wilson
from clipact.faults._numbers._statistics import bootstrap_mean, clopper_pearson


def test_sample_size_of_the_literature():
    # Leveugle 2009 and the surveys after it: 9,604 at 95 %; 16,589 at 99 % with t rounded to 2.576, exactly 16,588
    assert sample_size(10**12) == 9604
    assert sample_size(10**12, confidence=0.99) == 16588


def test_sample_size_never_exceeds_the_population():
    assert sample_size(1) == 1
    assert all(sample_size(n) <= n for n in range(1, 200))


@pytest.mark.parametrize(
    "kwargs",
    [
        {"population": 0},
        {"population": 10, "margin": 0.0},
        {"population": 10, "confidence": 1.0},
        {"population": 10, "p": 1.0},
    ],
)
def test_sample_size_refuses(kwargs):
    with pytest.raises(FaultError):
        sample_size(**kwargs)


def test_wilson_against_published_values():
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
    for successes, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_is_symmetric_and_within_the_unit_interval():
    for n in (1, 7, 100):
        for k in range(n + 1):
            low, high = wilson(k, n)
            mirrored = wilson(n - k, n)
            assert 0.0 <= low <= k / n <= high <= 1.0
            assert (low, high) == pytest.approx((1 - mirrored[1], 1 - mirrored[0]))


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_refuses(successes, n):
    with pytest.raises(FaultError):
        wilson(successes, n)


def test_clopper_pearson_against_published_values():
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 5
    for successes, n, low, high in [
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0, 0.1684),
        (1, 29, 0.0009, 0.1776),
    ]:
        assert clopper_pearson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_clopper_pearson_at_the_ends_is_a_power():
    # 0 of n: the upper end is 1 - (alpha / 2) ** (1 / n)
    for n in (1, 10, 10_000):
        assert clopper_pearson(0, n)[1] == pytest.approx(1 - 0.025 ** (1 / n), rel=1e-9)
        assert clopper_pearson(n, n)[0] == pytest.approx(0.025 ** (1 / n), rel=1e-9)


def test_clopper_pearson_never_covers_too_little_and_holds_wilson_on_average():
    n = 30
    for p in np.linspace(0.01, 0.99, 60):
        weights = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
        covered = 0.0
        for k, weight in enumerate(weights):
            low, high = clopper_pearson(k, n)
            covered += weight * (low <= p <= high)
        assert covered >= 0.95
    widths = [b - a for a, b in (clopper_pearson(k, n) for k in range(n + 1))]
    assert sum(widths) > sum(b - a for a, b in (wilson(k, n) for k in range(n + 1)))


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_clopper_pearson_refuses(successes, n):
    with pytest.raises(FaultError, match="clopper_pearson"):
        clopper_pearson(successes, n)


def test_bootstrap_of_the_mean_covers_like_the_normal_interval():
    values = np.random.default_rng(0).normal(2.0, 1.0, 400)
    found = bootstrap_mean(values)
    half = 1.96 * values.std() / math.sqrt(values.size)
    assert found.estimate == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(
        (values.mean() - half, values.mean() + half), abs=0.01
    )
    assert found == bootstrap_mean(values)


def test_bootstrap_of_nan_is_nan():
    assert math.isnan(bootstrap_mean(np.array([1.0, math.nan])).low)
