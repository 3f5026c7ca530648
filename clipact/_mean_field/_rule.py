"""Nodes and weights of Gauss and Legendre."""

import math
from functools import lru_cache


@lru_cache(maxsize=8)
def legendre(count: int) -> tuple[tuple[float, float], ...]:
    """Nodes on [-1, 1] with their weights, exact for polynomials up to degree ``2 * count - 1``."""
    return tuple(_node(count, place) for place in range(count))


def _node(count: int, place: int) -> tuple[float, float]:
    x = -math.cos(math.pi * (place + 0.75) / (count + 0.5))
    slope = 1.0
    for _ in range(100):
        value, slope = _legendre(count, x)
        step = value / slope
        x -= step
        if abs(step) < 1e-16:
            break
    _, slope = _legendre(count, x)
    return x, 2.0 / ((1.0 - x * x) * slope * slope)


def _legendre(degree: int, x: float) -> tuple[float, float]:
    """The polynomial and its derivative."""
    before, value = 1.0, x
    for n in range(2, degree + 1):
        before, value = value, ((2 * n - 1) * x * value - (n - 1) * before) / n
    return value, degree * (x * value - before) / (x * x - 1.0)
