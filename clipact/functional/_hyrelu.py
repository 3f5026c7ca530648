"""The smooth, trainable form of the ReLU that falls to zero past a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from clipact.functional._kernel import Backward, Forward, Kernel, run


@final
@dataclass(frozen=True)
class _HyReLU(Kernel):
    slope: float
    keeps_output: ClassVar[bool] = False
    scratch: ClassVar[int] = 2

    def compose(self, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
        finite = _finite_relu(x)
        return finite * torch.sigmoid(self.slope * (thresholds[0] - finite))

    def gradients(
        self, grad: Tensor, kept: Tensor, thresholds: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        finite = _finite_relu(kept)
        gate = torch.sigmoid(self.slope * (thresholds[0] - finite))
        fall = grad * gate * (1 - gate) * finite * self.slope
        return torch.where(finite > 0, grad * gate - fall, 0.0), fall

    def forward_block(self, block: Forward) -> None:
        torch.nan_to_num(block.x, 0, 0, 0, out=block.y)
        block.y.clamp_min_(0)
        block.y.mul_(self._gate(block.y, block.thresholds[0], out=block.scratch[0]))

    def backward_block(self, block: Backward) -> None:
        finite, gate = block.scratch
        torch.nan_to_num(block.kept, 0, 0, 0, out=finite)
        finite.clamp_min_(0)
        self._gate(finite, block.thresholds[0], out=gate)
        torch.mul(block.grad, gate, out=block.dx)
        fall = torch.ops.aten.sigmoid_backward.grad_input(block.grad, gate, grad_input=gate)
        fall.mul_(finite).mul_(self.slope)
        block.dx.sub_(fall)
        torch.ops.aten.threshold_backward.grad_input(block.dx, finite, 0, grad_input=block.dx)
        block.add(0, fall)

    def _gate(self, finite: Tensor, threshold: Tensor, *, out: Tensor) -> Tensor:
        return torch.sub(threshold, finite, out=out).mul_(self.slope).sigmoid_()


def _finite_relu(x: Tensor) -> Tensor:
    return torch.where((x > 0) & (x <= torch.finfo(x.dtype).max), x, 0.0)


def hyrelu(x: Tensor, threshold: float | Tensor, slope: float = 20.0) -> Tensor:
    r"""Smooth zeroed ReLU: :math:`y = \max(x, 0)\,\sigma(k (T - x))`."""
    return run(_HyReLU(slope), x, threshold)
