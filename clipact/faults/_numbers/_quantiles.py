r"""Quantiles that the standard library lacks: of the beta distribution and of Student's t.

Both come from one function, the regularised incomplete beta function

.. math:: I_x(a, b) = \frac{1}{B(a, b)} \int_0^x u^{a - 1} (1 - u)^{b - 1}\, du ,

summed as its continued fraction (Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.5.8) by the modified
Lentz method, and turned round by bisection, which always ends and gives the last bit. SciPy has the same in its
``special`` package; these hundred lines are here because it would be a dependency of 35 MB for three numbers a table.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

_TINY = 1e-300
_STEPS = 100_000
_PRECISION = 1e-15


def normal_quantile(confidence: float) -> float:
    """The two-sided quantile of the normal distribution: 1.96 for 0.95."""
    return NormalDist().inv_cdf(0.5 + confidence / 2.0)


def student_quantile(confidence: float, degrees: float) -> float:
    r"""The two-sided quantile of Student's t: the :math:`t` with :math:`P(|T| \le t)` equal to ``confidence``.

    With :math:`\nu` degrees of freedom, :math:`P(|T| \le t) = I_x(1 / 2, \nu / 2)` at :math:`x = t^2 / (\nu + t^2)`.

    Examples:
        >>> round(student_quantile(0.95, 10), 3)
        2.228
    """
    x = beta_quantile(confidence, 0.5, degrees / 2.0)
    return math.sqrt(degrees * x / (1.0 - x))


def beta_quantile(p: float, a: float, b: float) -> float:
    """The ``x`` at which the distribution function of Beta(a, b) is ``p``."""
    return _bisect(lambda x: incomplete_beta(x, a, b), p)


def incomplete_beta(x: float, a: float, b: float) -> float:
    """The distribution function of Beta(a, b) at ``x``; to 12 digits where ``a + b`` is below 10,000.

    Beyond that the logarithms of the gamma function cost a digit for every factor of ten.
    """
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1.0) / (a + b + 2.0):  # the fraction converges fast on the other side only
        return 1.0 - incomplete_beta(1.0 - x, b, a)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(scale + a * math.log(x) + b * math.log1p(-x)) / a
    return front * _continued_fraction(x, a, b)


def _continued_fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            c = _away_from_zero(1.0 + term / c)
            d = 1.0 / _away_from_zero(1.0 + term * d)
            value *= c * d
        if abs(c * d - 1.0) < _PRECISION:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _bisect(rising: Callable[[float], float], wanted: float) -> float:
    """Where a function that rises from 0 at 0 to 1 at 1 has this value, to the last bit."""
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2.0) < high:
        if rising(middle) < wanted:
            low = middle
        else:
            high = middle
    return high
