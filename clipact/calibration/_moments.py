r"""Exact extremes and streamed moments of every neuron.

Means and squared deviations of two parts combine by

.. math:: \bar x = \bar x_a + \delta \frac{n_b}{n}, \qquad M_2 = M_{2,a} + M_{2,b} + \delta^2 \frac{n_a n_b}{n},
    \qquad \delta = \bar x_b - \bar x_a

(Chan, Golub, LeVeque, *Algorithms for computing the sample variance*, The American Statistician 37(3), 1983), which is
how batches, and the profiles of several processes, are put together.
"""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor


@final
@dataclass(frozen=True)
class Moments:
    """Statistics of some samples, one value a neuron.

    Attributes:
        count: Number of samples.
        largest: Maximum of each neuron, in the activation's dtype.
        smallest: Minimum of each neuron.
        mean: Mean of each neuron, float32 (float64 for float64 activations).
        deviation: Sum of squared deviations from the mean (``M2``).
    """

    count: int
    largest: Tensor
    smallest: Tensor
    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, samples: Tensor) -> "Moments":
        """Statistics over the first axis of ``samples`` of shape ``(N, …)``, ``N > 0``."""
        # Reductions over the first axis of a contiguous matrix are several times faster than over any other layout.
        flat = samples.contiguous().flatten(1)
        wide = flat.to(torch.promote_types(samples.dtype, torch.float32))
        mean = wide.mean(0)
        deviation = (wide - mean).square_().sum(0)
        values = (flat.amax(0), flat.amin(0), mean, deviation)
        return cls(samples.shape[0], *(value.view(samples.shape[1:]) for value in values))

    def __or__(self, other: "Moments") -> "Moments":
        """Statistics of both sets of samples together."""
        count = self.count + other.count
        delta = other.mean - self.mean
        return Moments(
            count,
            torch.maximum(self.largest, other.largest),
            torch.minimum(self.smallest, other.smallest),
            self.mean + delta * (other.count / count),
            self.deviation + other.deviation + delta.square() * (self.count * other.count / count),
        )

    def to_channels(self, axis: int) -> "Moments":
        """Statistics by channel: ``axis`` counts channels (batch included), every other axis becomes samples."""
        rows = [
            values.movedim(axis - 1, 0).flatten(1)
            for values in (self.largest, self.smallest, self.mean, self.deviation)
        ]
        largest, smallest, mean, deviation = rows
        each = self.mean.movedim(axis - 1, 0).flatten(1).shape[1]
        center = mean.mean(1)
        spread = deviation.sum(1) + self.count * (mean - center.unsqueeze(1)).square().sum(1)
        return Moments(self.count * each, largest.amax(1), smallest.amin(1), center, spread)
