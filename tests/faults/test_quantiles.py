import math

import pytest

from clipact.faults._numbers._quantiles import (
    beta_quantile,
    incomplete_beta,
    normal_quantile,
    student_quantile,
)


def test_normal_quantiles_of_the_tables():
    assert normal_quantile(0.95) == pytest.approx(1.959964, abs=1e-6)
    assert normal_quantile(0.99) == pytest.approx(2.575829, abs=1e-6)


@pytest.mark.parametrize(
    ("confidence", "degrees", "published"),
    # the t table in the back of any textbook
    [(0.95, 1, 12.706), (0.95, 2, 4.303), (0.95, 10, 2.228), (0.95, 30, 2.042), (0.99, 5, 4.032)],
)
def test_student_quantiles_of_the_tables(confidence, degrees, published):
    assert student_quantile(confidence, degrees) == pytest.approx(published, abs=5e-4)


def test_student_comes_to_normal_and_takes_degrees_that_are_not_whole():
    assert student_quantile(0.95, 1e7) == pytest.approx(normal_quantile(0.95), abs=1e-6)
    assert 2.228 < student_quantile(0.95, 9.5) < 2.262


def test_incomplete_beta_against_closed_forms():
    for x in (1e-9, 0.1, 0.5, 0.9, 1 - 1e-9):
        assert incomplete_beta(x, 1, 1) == pytest.approx(x, rel=1e-12)
        assert incomplete_beta(x, 3, 1) == pytest.approx(x**3, rel=1e-12)
        assert incomplete_beta(x, 1, 4) == pytest.approx(-math.expm1(4 * math.log1p(-x)), rel=1e-12)
    for x in (1e-9, 0.1, 0.5, 0.9):
        arcsine = 2 / math.pi * math.asin(math.sqrt(x))
        assert incomplete_beta(x, 0.5, 0.5) == pytest.approx(arcsine, rel=1e-12)
    assert incomplete_beta(0.0, 2, 3) == 0.0
    assert incomplete_beta(1.0, 2, 3) == 1.0


def test_incomplete_beta_is_the_tail_of_a_binomial():
    n, k, p = 40, 7, 0.23
    tail = sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))
    assert incomplete_beta(p, k, n - k + 1) == pytest.approx(tail, rel=1e-12)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (1, 30), (7, 2), (300, 5000), (5e4, 5e5)])
@pytest.mark.parametrize("p", [1e-6, 0.025, 0.5, 0.975])
def test_beta_quantile_turns_it_round(a, b, p):
    assert incomplete_beta(beta_quantile(p, a, b), a, b) == pytest.approx(p, rel=1e-8)


def test_against_scipy():
    stats = pytest.importorskip("scipy.stats")
    for a, b in [(0.5, 3), (2, 2), (11, 990), (400, 1), (3000, 7000)]:
        for p in (0.005, 0.025, 0.5, 0.995):
            assert beta_quantile(p, a, b) == pytest.approx(stats.beta.ppf(p, a, b), rel=1e-9)
    for degrees in (1, 3.7, 50, 1e4):
        assert student_quantile(0.9, degrees) == pytest.approx(stats.t.ppf(0.95, degrees), rel=1e-9)
