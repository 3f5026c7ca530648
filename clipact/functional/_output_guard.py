"""A guard for logits: what lies outside its calibrated range becomes the class minimum."""

import torch
from torch import Tensor

from clipact.functional._threshold import as_tensor, fit


def output_guard(x: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    r"""A value outside ``[low, high]``, or NaN, becomes ``low``."""
    floor = as_tensor(x, fit(x, low, "low")).to(x.dtype)
    ceiling = as_tensor(x, fit(x, high, "high")).to(x.dtype)
    return torch.where((x >= floor) & (x <= ceiling), x, floor)
