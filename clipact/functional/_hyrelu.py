"""The smooth, trainable form of the ReLU that falls to zero past a threshold."""

import torch
from torch import Tensor

from clipact.functional._threshold import fit


def hyrelu(x: Tensor, threshold: float | Tensor, slope: float = 20.0) -> Tensor:
    r"""Smooth zeroed ReLU: :math:`y = \max(x, 0)\,\sigma(k (T - x))`."""
    y = torch.where((x > 0) & (x <= torch.finfo(x.dtype).max), x, 0.0)
    return y * torch.sigmoid(slope * (fit(x, threshold) - y))
