"""ReLU that falls to zero past a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from clipact.functional._kernel import Backward, Forward, Kernel, keep_where, run


@final
@dataclass(frozen=True)
class _ZeroedReLU(Kernel):
    def compose(self, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
        return torch.where(x <= thresholds[0], x.relu(), 0.0)

    def gradients(
        self, grad: Tensor, kept: Tensor, thresholds: Sequence[Tensor]
    ) -> tuple[Tensor | None, ...]:
        return grad * torch.sign(kept), *(None for _ in thresholds)

    def forward_block(self, block: Forward) -> None:
        inside = torch.le(block.x, block.thresholds[0], out=block.scratch[0])
        torch.clamp_min(block.x, 0, out=block.y)
        keep_where(inside, block.y, out=block.y)

    def backward_block(self, block: Backward) -> None:
        torch.ops.aten.threshold_backward.grad_input(block.grad, block.kept, 0, grad_input=block.dx)


def zeroed_relu(x: Tensor, threshold: float | Tensor) -> Tensor:
    r"""ReLU that drops to zero past a threshold: :math:`y = x` for :math:`0 \le x \le T`, else 0."""
    return run(_ZeroedReLU(), x, threshold)
