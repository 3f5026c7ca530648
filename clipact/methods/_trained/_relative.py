"""Thresholds relative to where they started."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["mean_scale", "mean_square_relative"]


def mean_scale(thresholds: Sequence[Tensor], starts: Sequence[Tensor]) -> float:
    """Mean of the thresholds relative to where they started, without those that started at 0."""
    shares = _shares([threshold.detach() for threshold in thresholds], starts)
    counted = sum(int((start > 0).sum()) for start in starts)
    return float(shares.sum()) / counted if counted else 1.0


def mean_square_relative(thresholds: Sequence[Tensor], starts: Sequence[Tensor]) -> Tensor:
    """Mean of the squared relative thresholds, over all of them; those that started at 0 count as 0."""
    return _shares(thresholds, starts).square().mean()


def _shares(thresholds: Sequence[Tensor], starts: Sequence[Tensor]) -> Tensor:
    pairs = zip(thresholds, starts, strict=True)
    return torch.cat(
        [(now / torch.where(start > 0, start, torch.inf)).flatten() for now, start in pairs]
    )
