"""Two-sided ranges: around any activation, and around the logits of a classifier."""

import torch
from torch import Tensor

from clipact.functional._threshold import fit


def range_restricted(
    x: Tensor,
    low: float | Tensor,
    high: float | Tensor,
    *,
    zero: bool = False,
    nan_to_zero: bool = False,
) -> Tensor:
    r"""Hold ``x`` within ``[low, high]``, or drop to zero what lies outside."""
    floor, ceiling = fit(x, low, "low"), fit(x, high, "high")
    if zero:
        return torch.where((x >= floor) & (x <= ceiling), x, 0.0)
    y = torch.where(x >= ceiling, ceiling, torch.where(x <= floor, floor, x))
    return torch.where(y.isnan(), 0.0, y) if nan_to_zero else y


def output_guard(x: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    r"""A value outside ``[low, high]``, or NaN, becomes ``low``."""
    floor, ceiling = fit(x, low, "low"), fit(x, high, "high")
    return torch.where((x >= floor) & (x <= ceiling), x, floor)
