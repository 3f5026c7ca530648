"""ReLU that falls to zero past a threshold."""

import torch
from torch import Tensor

from clipact.functional._threshold import fit


def zeroed_relu(x: Tensor, threshold: float | Tensor) -> Tensor:
    r"""ReLU that drops to zero past a threshold: :math:`y = x` for :math:`0 \le x \le T`, else 0."""
    return torch.where(x <= fit(x, threshold), x.relu(), 0.0)
