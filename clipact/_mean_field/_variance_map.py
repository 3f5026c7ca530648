"""What a layer does to the variance of a signal, and to the correlation of two."""

from dataclasses import dataclass
from typing import final

from clipact._mean_field._moments import Moments


@final
@dataclass(frozen=True)
class VarianceMap:
    r"""Variance before an activation, from that before the one a layer earlier.

    :math:`V(q) = \sigma_w^2\,E[\phi(\sqrt q z)^2] + \sigma_b^2` for standard normal :math:`z`, in the limit of wide layers.

    Attributes:
        moments: Of the activation.
        sigma_w: Standard deviation of the weights, times the root of the fan-in.
        sigma_b: Standard deviation of the biases.
    """

    moments: Moments
    sigma_w: float
    sigma_b: float

    def __call__(self, q: float) -> float:
        """The variance one layer on."""
        return self.sigma_w**2 * self.moments.second_moment(q) + self.sigma_b**2

    def slope(self, q: float) -> float:
        """:math:`V'(q)`: by what a small deviation of the variance is multiplied."""
        return self.sigma_w**2 * self.moments.second_moment_slope(q)

    def curvature(self, q: float) -> float:
        """:math:`V''(q)`."""
        return self.sigma_w**2 * self.moments.second_moment_curvature(q)

    def chi(self, q: float) -> float:
        r""":math:`\chi_1(q)`: by what the squared length of a gradient is multiplied, one layer back."""
        return self.sigma_w**2 * self.moments.squared_slope(q)

    def sparsity(self, q: float) -> float:
        """Share of activations that are exactly zero at this variance."""
        return self.moments.zeros(q)

    def through(self, q: float, layers: int) -> list[float]:
        """The variance at the first of so many activations, given, and at each after it."""
        found = [q]
        for _ in range(layers - 1):
            found.append(self(found[-1]))
        return found


@final
@dataclass(frozen=True)
class CorrelationMap:
    r"""Correlation of two signals before an activation, from that before the one a layer earlier.

    At the edge of chaos its slope at 1 is 1: two signals come together, but no faster than by a power of the depth.

    Attributes:
        variances: The map of the variance.
        q: The variance of both signals.
    """

    variances: VarianceMap
    q: float

    def __call__(self, correlation: float) -> float:
        """The correlation one layer on; ``correlation`` in [-1, 1]."""
        product = self.variances.moments.product(self.q, correlation)
        covariance = self.variances.sigma_w**2 * product + self.variances.sigma_b**2
        return covariance / self.variances(self.q)
