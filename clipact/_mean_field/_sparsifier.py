"""Closed forms for the four sparsifying activations."""

import math
from dataclasses import dataclass
from typing import final

from clipact._mean_field._normal import above, between, density
from clipact._mean_field._rule import legendre


@final
@dataclass(frozen=True)
class Sparsifier:
    r"""An activation that is zero up to ``tau`` and holds its output at ``m``.

    With :math:`r = \sqrt q`, :math:`a = \tau/r`, :math:`b = (\tau + m)/r`, everything follows from the density of the
    standard normal at :math:`a` and :math:`b` and the probability between them.

    Attributes:
        tau: Where the output starts; at least 0.
        m: The largest output; infinity for no clip.
        two_sided: Whether the same happens to negative inputs, with a negative sign.
    """

    tau: float
    m: float
    two_sided: bool

    @property
    def sides(self) -> int:
        """1 or 2."""
        return 2 if self.two_sided else 1

    def zeros(self, q: float) -> float:
        """Share of outputs that are exactly zero."""
        return 1.0 - self.sides * above(self._starts(q))

    def squared_slope(self, q: float) -> float:
        """Share of inputs between start and clip, where the derivative is 1."""
        return self.sides * between(self._starts(q), self._clips(q))

    def second_moment(self, q: float) -> float:
        """Mean of the squared output."""
        if q == 0.0:
            return 0.0
        r, a, b, tau = math.sqrt(q), self._starts(q), self._clips(q), self.tau
        value = (q + tau * tau) * between(a, b) - r * tau * density(a)
        if math.isinf(self.m):
            return self.sides * max(value, 0.0)
        square = self.m * self.m
        value += r * (tau - self.m) * density(b) + square * above(b)
        # between what is clipped and what is not zero, also where rounding would leave that
        return self.sides * min(max(value, square * above(b)), square * above(a))

    def second_moment_slope(self, q: float) -> float:
        """Its derivative with respect to ``q``."""
        a, b = self._starts(q), self._clips(q)
        edge = 0.0 if math.isinf(self.m) else self.m / math.sqrt(q) * density(b)
        return self.sides * (between(a, b) - edge)

    def second_moment_curvature(self, q: float) -> float:
        """Its second derivative."""
        a, b = self._starts(q), self._clips(q)
        value = a * density(a)
        if not math.isinf(self.m):
            value -= (b + self.m / math.sqrt(q) * (b * b - 1.0)) * density(b)
        return self.sides * value / (2.0 * q)

    def product(self, q: float, correlation: float) -> float:
        r"""Mean of the product of the outputs for two inputs of this correlation.

        Its second derivative with respect to the correlation is a sum of bivariate densities at the kinks (Price's
        theorem), so that one smooth integral over :math:`\arcsin\rho` gives it on all of [-1, 1].
        """
        a, b = self._starts(q), self._clips(q)
        kinks = [(a, 1.0), (b, -1.0)] if math.isfinite(b) else [(a, 1.0)]
        start = 0.0 if self.two_sided else sum(sign * _excess(kink) for kink, sign in kinks)
        if self.two_sided:
            kinks += [(-kink, -sign) for kink, sign in kinks]
        curved = math.fsum(
            s1 * s2 * _integral(correlation, k1, k2) for k1, s1 in kinks for k2, s2 in kinks
        )
        return q * (start * start + self.squared_slope(q) ** 2 * correlation + curved)

    def _starts(self, q: float) -> float:
        return self.tau / math.sqrt(q) if q > 0.0 else math.inf if self.tau else 0.0

    def _clips(self, q: float) -> float:
        return (self.tau + self.m) / math.sqrt(q) if q > 0.0 else math.inf


def _excess(kink: float) -> float:
    """Mean of what a standard normal has above ``kink``, with 0 for less."""
    return density(kink) - kink * above(kink)


def _integral(correlation: float, x: float, y: float) -> float:
    """Twice integrated bivariate density at (x, y), from correlation 0 to this one."""
    half = 0.5 * math.asin(max(-1.0, min(1.0, correlation)))
    total = 0.0
    for node, weight in legendre(200):
        angle = half * (1.0 + node)
        sine, cosine = math.sin(angle), math.cos(angle)
        exponent = (x * x - 2.0 * x * y * sine + y * y) / (2.0 * cosine * cosine)
        total += weight * (correlation - sine) * math.exp(-exponent)
    return half * total / (2.0 * math.pi)
