"""ReLU that holds its value past a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from clipact.functional._kernel import Backward, Forward, Kernel, drop_where, keep_where, run
from clipact.functional._threshold import as_number, as_tensor, varies_in_memory


@final
@dataclass(frozen=True)
class _SaturatedReLU(Kernel):
    nan_to_zero: bool

    def compose(self, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
        positive = x.relu()
        y = torch.where(positive >= thresholds[0], thresholds[0], positive)
        return torch.where(y.isnan(), 0.0, y) if self.nan_to_zero else y

    def gradients(
        self, grad: Tensor, kept: Tensor, thresholds: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        below = torch.sign(thresholds[0] - kept)
        return grad * below * torch.sign(kept), grad * (1 - below)

    def forward_block(self, block: Forward) -> None:
        torch.clamp_min(block.x, 0, out=block.y)
        torch.minimum(block.y, block.thresholds[0], out=block.y)
        if self.nan_to_zero:
            block.y.nan_to_num_(0, torch.inf, -torch.inf)

    def backward_block(self, block: Backward) -> None:
        held = torch.ge(block.kept, block.thresholds[0], out=block.scratch[0])
        torch.ops.aten.threshold_backward.grad_input(block.grad, block.kept, 0, grad_input=block.dx)
        drop_where(held, block.dx, out=block.dx)
        if block.sums[0] is not None:
            block.add(0, keep_where(held, block.grad, out=held))

    def infer(self, x: Tensor, thresholds: Sequence[float | Tensor]) -> Tensor:
        if self.nan_to_zero:
            return super().infer(x, thresholds)
        limit = as_number(x, thresholds[0])
        if limit is not None:
            return torch.clamp(x, 0.0, limit)
        limit = as_tensor(x, thresholds[0]).to(x.dtype)
        if varies_in_memory(x, limit):
            return torch.clamp(x, x.new_zeros(()), limit)
        return super().infer(x, thresholds)


def saturated_relu(x: Tensor, threshold: float | Tensor, *, nan_to_zero: bool = False) -> Tensor:
    r"""ReLU that saturates at a threshold: :math:`y = \min(\max(x, 0), T)`."""
    return run(_SaturatedReLU(nan_to_zero), x, threshold)
