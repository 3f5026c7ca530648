"""Distributions from which the weights of a layer are drawn."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

__all__ = ["DeltaOrthogonal", "Gaussian", "Orthogonal", "WeightDistribution"]


class WeightDistribution(ABC):
    """How weights are distributed; a small frozen dataclass."""

    @abstractmethod
    def draw(
        self, shape: tuple[int, ...], groups: int, sigma: float, generator: torch.Generator
    ) -> Tensor:
        r"""Weights of mean square :math:`\sigma^2/\text{fan-in}`, seen from an input of independent values.

        Args:
            shape: ``(out, in)`` or ``(out, in / groups, *kernel)``.
            groups: Of a convolution; 1 for a linear layer.
            sigma: Their standard deviation, times the root of the fan-in.
            generator: Where they come from.

        Returns:
            float32, on the generator's device.
        """


@final
@dataclass(frozen=True)
class Gaussian(WeightDistribution):
    """Independent normal weights of variance sigma²/fan-in, where fan-in is ``in / groups`` times the size of the kernel.

    Examples:
        >>> weights = Gaussian().draw((64, 100), 1, 2.0, torch.Generator().manual_seed(0))
        >>> weights.shape, round(float(weights.square().mean() * 100), 1)
        (torch.Size([64, 100]), 4.0)
    """

    def draw(
        self, shape: tuple[int, ...], groups: int, sigma: float, generator: torch.Generator
    ) -> Tensor:
        """Draw them."""
        del groups
        scale = sigma / math.sqrt(math.prod(shape[1:]))
        return scale * torch.randn(shape, generator=generator, device=generator.device)


@final
@dataclass(frozen=True)
class Orthogonal(WeightDistribution):
    """A random orthogonal matrix ``(out, fan-in)`` a group, or orthonormal rows or columns of one, times sigma.

    With more rows than columns the columns are orthonormal, and the matrix is scaled so that the mean square of what it
    gives is still sigma² times that of its input.

    Examples:
        >>> weights = Orthogonal().draw((4, 8), 1, 1.0, torch.Generator().manual_seed(0))
        >>> torch.allclose(weights @ weights.T, torch.eye(4), atol=1e-6)
        True
    """

    def draw(
        self, shape: tuple[int, ...], groups: int, sigma: float, generator: torch.Generator
    ) -> Tensor:
        """Draw them."""
        rows, columns = shape[0] // groups, math.prod(shape[1:])
        blocks = [_orthogonal(rows, columns, generator) for _ in range(groups)]
        return sigma * torch.cat(blocks).reshape(shape)


@final
@dataclass(frozen=True)
class DeltaOrthogonal(WeightDistribution):
    """Convolutions that are zero but for an orthogonal matrix at the centre of the kernel; linear layers are orthogonal.

    Signals then pass without blurring, and without the loss at the borders that zero padding causes otherwise.

    References:
        Xiao et al., *Dynamical Isometry and a Mean Field Theory of CNNs*, ICML 2018, algorithm 1.

    Examples:
        >>> weights = DeltaOrthogonal().draw((4, 4, 3, 3), 1, 1.0, torch.Generator().manual_seed(0))
        >>> int((weights != 0).sum()), bool((weights[:, :, 1, 1] != 0).all())
        (16, True)
    """

    def draw(
        self, shape: tuple[int, ...], groups: int, sigma: float, generator: torch.Generator
    ) -> Tensor:
        """Draw them."""
        matrix = Orthogonal().draw(shape[:2], groups, sigma, generator)
        if len(shape) == 2:
            return matrix
        weights = torch.zeros(shape, device=generator.device)
        weights[(slice(None), slice(None), *(size // 2 for size in shape[2:]))] = matrix
        return weights


def _orthogonal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """Uniformly distributed; the mean square of a row's sum of squares is 1."""
    tall = (max(rows, columns), min(rows, columns))
    noise = torch.randn(tall, generator=generator, device=generator.device)
    basis, triangle = torch.linalg.qr(noise)
    basis = basis * triangle.diagonal().sign()  # otherwise the directions depend on the algorithm
    return basis.T if rows <= columns else basis * math.sqrt(rows / columns)
