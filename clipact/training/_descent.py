"""How thresholds are moved: steps, their sizes, and weight decay."""

import math
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import nn

from clipact.errors import TrainingError

__all__ = ["Descent"]


@final
@dataclass(frozen=True)
class Descent:
    """Adam with a learning rate that warms up linearly and then falls along a cosine.

    Attributes:
        rate: The highest learning rate.
        epochs: Passes over the training data after the warm-up.
        warmup: Passes during which the rate rises.
        decay: Weight decay of the thresholds.
        decoupled: AdamW, which shrinks thresholds by ``rate * decay`` a step whatever their gradients; else Adam, where
            decay is a part of the gradient.

    Raises:
        TrainingError: A number of epochs that is negative or not whole, or a rate or decay that is negative or not finite.

    Examples:
        >>> descent = Descent(rate=1.0, epochs=4, warmup=2)
        >>> [round(descent.at(step, steps=1), 2) for step in range(descent.total)]
        [0.5, 1.0, 1.0, 0.85, 0.5, 0.15]
    """

    rate: float
    epochs: int
    warmup: int = 0
    decay: float = 0.0
    decoupled: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.rate < math.inf and 0 <= self.decay < math.inf):
            raise TrainingError(
                f"{self} asked for; the rate is positive, the decay at least 0, and both are finite"
            )
        if any(each % 1 != 0 or each < 0 for each in (self.epochs, self.warmup)):
            raise TrainingError(f"{self} asked for; epochs are whole numbers from 0")

    @property
    def total(self) -> int:
        """Passes over the training data, warm-up included."""
        return int(self.epochs + self.warmup)

    def with_decay(self, decay: float) -> "Descent":
        """The same with another weight decay."""
        return replace(self, decay=decay)

    def at(self, step: int, steps: int) -> float:
        """The learning rate of a step.

        Args:
            step: Steps done.
            steps: Steps an epoch.
        """
        warm = self.warmup * steps
        if step < warm:
            return self.rate * (step + 1) / warm
        done = (step - warm) / max(self.epochs * steps, 1)
        return self.rate * 0.5 * (1 + math.cos(math.pi * done))

    def reach(self, step: int, steps: int) -> tuple[float, float]:
        """How far the remaining steps can move thresholds, if none is longer than its learning rate.

        Args:
            step: Steps done.
            steps: Steps an epoch.

        Returns:
            ``(shrink, path)``: a threshold ``T`` ends between ``T * shrink - path`` and ``T * shrink + path``.
        """
        shrink, path = 1.0, 0.0
        for later in reversed(range(step, self.total * steps)):
            rate = self.at(later, steps)
            path += rate * shrink
            shrink *= 1.0 - rate * self.decay if self.decoupled else 1.0
        return shrink, path

    def optimizer(self, thresholds: list[nn.Parameter]) -> torch.optim.Optimizer:
        """A fresh one for these thresholds."""
        kind = torch.optim.AdamW if self.decoupled else torch.optim.Adam
        return kind(thresholds, lr=self.rate, weight_decay=self.decay)
