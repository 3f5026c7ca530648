"""Closed forms against integrals that know nothing of them."""

import math

import numpy as np
import pytest

from clipact._mean_field import Sparsifier, clipped

LAWS = [
    Sparsifier(1.0364, 1.17, two_sided=False),
    Sparsifier(1.44, 0.67, two_sided=True),
    Sparsifier(0.0, 1.0, two_sided=False),
    Sparsifier(0.5, math.inf, two_sided=False),
    Sparsifier(0.8, math.inf, two_sided=True),
]
each_law = pytest.mark.parametrize("law", LAWS, ids=str)


def apply(law, x):
    size = np.clip((np.abs(x) if law.two_sided else x) - law.tau, 0, law.m)
    return np.sign(x) * size if law.two_sided else size


def gauss(law, q, function, order=60):
    """Mean over a Gaussian of variance q, piece by piece between the kinks."""
    kinks = [law.tau, law.tau + law.m]
    inside = [k for k in (*kinks, *(-k for k in kinks)) if abs(k) < 14 * math.sqrt(q)]
    edges = np.unique([*np.linspace(-14, 14, 15) * math.sqrt(q), *inside])
    nodes, weights = np.polynomial.legendre.leggauss(order)
    half = np.diff(edges)[:, None] / 2
    x = (edges[:-1, None] + half) + half * nodes
    density = np.exp(-x * x / (2 * q)) / math.sqrt(2 * math.pi * q)
    return float((function(x) * density * half * weights).sum())


@each_law
@pytest.mark.parametrize("q", [0.2, 1.0, 3.7, 50.0])
def test_moments_equal_integrals(law, q):
    square = gauss(law, q, lambda x: apply(law, x) ** 2)
    inside = gauss(law, q, lambda x: active(law, x))
    zeros = gauss(law, q, lambda x: (apply(law, x) == 0).astype(float))
    z2 = gauss(law, q, lambda x: apply(law, x) ** 2 * (x * x / q - 1)) / (2 * q)
    z4 = gauss(law, q, lambda x: apply(law, x) ** 2 * (x**4 / q**2 - 6 * x * x / q + 3))
    assert law.second_moment(q) == pytest.approx(square, abs=1e-12 * max(q, 1))
    assert law.squared_slope(q) == pytest.approx(inside, abs=1e-12)
    assert law.zeros(q) == pytest.approx(zeros, abs=1e-12)
    assert law.second_moment_slope(q) == pytest.approx(z2, abs=1e-12)
    assert law.second_moment_curvature(q) == pytest.approx(z4 / (4 * q * q), abs=1e-12)


def active(law, x):
    size = np.abs(x) if law.two_sided else x
    return ((size > law.tau) & (size < law.tau + law.m)).astype(float)


@each_law
def test_products_equal_the_series_of_hermite(law):
    """E[phi(u1) phi(u2)] = sum of c_n^2 rho^n, which converges fast away from 1."""
    q = 1.3
    nodes = {
        n: gauss(law, q, lambda x, n=n: apply(law, x) * hermite(n, x / math.sqrt(q)))
        for n in range(90)
    }
    for rho in (-0.6, -0.2, 0.0, 0.3, 0.7):
        series = math.fsum(c * c * rho**n for n, c in nodes.items())
        assert law.product(q, rho) == pytest.approx(series, abs=1e-11)


def hermite(degree, x):
    """Orthonormal."""
    before, value = np.zeros_like(x), np.ones_like(x)
    for n in range(degree):
        before, value = value, (x * value - math.sqrt(n) * before) / math.sqrt(n + 1)
    return value


@each_law
def test_products_of_equal_and_opposite_signals(law):
    for q in (0.3, 1.0, 8.0):
        assert law.product(q, 1.0) == pytest.approx(law.second_moment(q), abs=1e-13 * max(1, q))
        opposite = gauss(law, q, lambda x: apply(law, x) * apply(law, -x))
        assert law.product(q, -1.0) == pytest.approx(opposite, abs=1e-13 * max(1, q))


def test_products_of_a_relu_are_the_arc_cosine_kernel():
    relu = Sparsifier(0.0, math.inf, two_sided=False)
    for rho in (-0.9, 0.0, 0.5, 0.999):
        kernel = (math.sqrt(1 - rho * rho) + rho * (math.pi - math.acos(rho))) / (2 * math.pi)
        assert relu.product(2.0, rho) == pytest.approx(2.0 * kernel, abs=1e-14)


def test_huge_and_vanishing_variances_lose_no_digits_that_matter():
    law = clipped("it", 0.85, 0.7, 1.0, two_sided=False)
    assert law.second_moment(1e40) == pytest.approx(law.m**2 / 2)
    assert law.second_moment(0.0) == 0.0
    assert 0.0 <= law.second_moment(1e-3) < 1e-200
    assert law.second_moment(1e-30) == 0.0
