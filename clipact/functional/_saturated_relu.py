"""ReLU that holds its value past a threshold."""

import torch
from torch import Tensor

from clipact.functional._threshold import fit


def saturated_relu(x: Tensor, threshold: float | Tensor, *, nan_to_zero: bool = False) -> Tensor:
    r"""ReLU that saturates at a threshold: :math:`y = \min(\max(x, 0), T)`."""
    limit = fit(x, threshold)
    y = torch.where(x >= limit, limit, x.relu())
    return torch.where(y.isnan(), 0.0, y) if nan_to_zero else y
