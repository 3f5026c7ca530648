"""The standard normal distribution in float64."""

import math
from statistics import NormalDist

_STANDARD = NormalDist()


def density(x: float) -> float:
    """Its density."""
    return math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def above(x: float) -> float:
    """The probability of more than ``x``, with all its digits also where it is small."""
    return 0.5 * math.erfc(x / math.sqrt(2.0))


def between(low: float, high: float) -> float:
    """The probability of a value between two bounds of at least 0, with all its digits also far out and close to 0."""
    if low < 0.5:
        return 0.5 * (math.erf(high / math.sqrt(2.0)) - math.erf(low / math.sqrt(2.0)))
    return above(low) - above(high)


def quantile(probability: float) -> float:
    """The value below which this share lies; ``probability`` in (0, 1)."""
    return _STANDARD.inv_cdf(probability)
