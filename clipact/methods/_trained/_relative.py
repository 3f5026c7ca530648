"""Thresholds relative to where they started."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["mean_scale", "mean_square_relative"]


def mean_scale(thresholds: Sequence[Tensor], starts: Sequence[Tensor]) -> float:
    """Mean of all thresholds, relative to the mean of where they started."""
    total = sum(float(start.sum()) for start in starts)
    return sum(float(now.detach().sum()) for now in thresholds) / total if total > 0 else 1.0


def mean_square_relative(thresholds: Sequence[Tensor], starts: Sequence[Tensor]) -> Tensor:
    """Mean over layers of the mean squared threshold, relative to where the layer started.

    A layer that started at 0 everywhere counts as 0.
    """
    shares = [
        now.square().mean() / torch.where(square > 0, square, torch.inf)
        for now, square in zip(thresholds, (s.square().mean() for s in starts), strict=True)
    ]
    return torch.stack(shares).mean()
