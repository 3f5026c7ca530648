"""Gaussian expectations of any activation, by quadrature between its kinks."""

import math
from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from clipact.sparsity._elementwise import Elementwise
from clipact.sparsity._panels import Panels, smooth_panels, spread

_REACH = 13.0  # standard deviations; the density beyond is below 1e-37
_NEAR = 9.5  # where two integrals are nested; below 1e-20


@final
class Quadrature:
    """The moments of an activation, as a mean-field theory needs them.

    Kinks and jumps are found by halving intervals, and each smooth piece has its own Gauss nodes, so that the figures agree
    with closed forms to about 1e-13. Plain Gauss and Hermite nodes would stop at about 1e-3 on a ReLU.

    Args:
        activation: Elementwise.

    Raises:
        SparsityError: It is not elementwise.
    """

    def __init__(self, activation: Elementwise) -> None:
        self.activation = activation
        self._panels: dict[int, Panels] = {}

    def second_moment(self, q: float) -> float:
        """Mean of the squared output."""
        return self._mean(q, lambda x, _: self.activation(x).square())

    def second_moment_slope(self, q: float) -> float:
        """Its derivative with respect to ``q``; the derivative of the activation is not needed for it."""
        weighted = self._mean(q, lambda x, z: self.activation(x).square() * (z * z - 1.0))
        return weighted / (2.0 * q)

    def second_moment_curvature(self, q: float) -> float:
        """Its second derivative."""

        def weighted(x: Tensor, z: Tensor) -> Tensor:
            return self.activation(x).square() * (z**4 - 6.0 * z * z + 3.0)

        return self._mean(q, weighted) / (4.0 * q * q)

    def squared_slope(self, q: float) -> float:
        """Mean of the squared derivative of the activation."""
        return self._mean(q, lambda x, _: self.activation.slope(x).square())

    def zeros(self, q: float) -> float:
        """Share of outputs that are exactly zero."""
        return self._mean(q, lambda x, _: (self.activation(x) == 0).to(x.dtype))

    def product(self, q: float, correlation: float) -> float:
        """Mean of the product of the outputs for two inputs of this correlation."""
        if abs(correlation) > 1.0 - 1e-15:
            sign = math.copysign(1.0, correlation)
            return self._mean(q, lambda x, _: self.activation(x) * self.activation(sign * x))
        shared, apart = math.sqrt((1.0 + correlation) / 2.0), math.sqrt((1.0 - correlation) / 2.0)
        kinks = self._pieces(q).kinks / math.sqrt(q)
        outer, outer_weight = spread(_outer_edges(kinks, shared, apart))
        inner, inner_weight = spread(_inner_edges(kinks, shared * outer, apart))
        root = math.sqrt(q)
        middle, half = (shared * outer).unsqueeze(1), apart * inner
        both = self.activation(root * (middle + half)) * self.activation(root * (middle - half))
        means = (both * inner_weight * _density(inner)).sum(1)
        return float((means * outer_weight * _density(outer)).sum())

    def _mean(self, q: float, function: Callable[[Tensor, Tensor], Tensor]) -> float:
        x, weight = self._pieces(q).rule()
        z = x / math.sqrt(q)
        return float((function(x, z) * weight * _density(z)).sum() / math.sqrt(q))

    def _pieces(self, q: float) -> Panels:
        """For all variances between two powers of 4, the same."""
        power = math.ceil(math.log2(q) / 2.0)
        if power not in self._panels:
            self._panels[power] = smooth_panels(self.activation, _REACH * 2.0**power)
        return self._panels[power]


def _density(z: Tensor) -> Tensor:
    return torch.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


def _grid() -> Tensor:
    return torch.linspace(-_NEAR, _NEAR, 9, dtype=torch.float64)


def _outer_edges(kinks: Tensor, shared: float, apart: float) -> Tensor:
    """Where the inner integral is not smooth: two of its kinks meet; and where it changes fast, close to that."""
    meet = ((kinks.unsqueeze(1) + kinks) / (2.0 * shared)).flatten()
    near = (kinks / shared).unsqueeze(1) + apart * torch.tensor(
        [-8.0, -3.0, -1.0, 1.0, 3.0, 8.0], dtype=torch.float64
    )
    edges = torch.cat([_grid(), meet, near.flatten()]).clamp(-_NEAR, _NEAR)
    return edges.unique()


def _inner_edges(kinks: Tensor, middle: Tensor, apart: float) -> Tensor:
    """The kinks of both factors, for each place of the outer integral."""
    places = (kinks - middle.unsqueeze(1)) / apart
    grid = _grid().expand(len(middle), -1)
    return torch.cat([grid, places, -places], 1).clamp(-_NEAR, _NEAR).sort(1).values
