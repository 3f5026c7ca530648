"""The smooth, trainable form of the ReLU that falls to zero past a threshold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from clipact.errors import ThresholdError
from clipact.functional._kernel import Backward, Forward, Kernel
from clipact.functional._run import run


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
    r"""Smooth zeroed ReLU, whose threshold can be trained: :math:`y = \max(x, 0)\,\sigma(k (T - x))`.

    Use it to train thresholds, then deploy :func:`zeroed_relu` with them. The slope is per unit of ``x``: a threshold
    that is not large against :math:`1/k` bends the whole range below it.

    :math:`\pm\infty` and NaN give 0, for every :math:`T`. With :math:`T = \infty` finite values give the ReLU exactly.

    Gradients, with :math:`s = \sigma(k (T - x))`: :math:`\partial y/\partial x = s - k x s (1 - s)` for finite
    :math:`x > 0`, else 0, and :math:`\partial y/\partial T = k x s (1 - s)` likewise. The input is kept for the backward
    pass, nothing else.

    Note:
        The published forms, :math:`x\,\sigma(k(T - x))` and :math:`x - x\,\sigma(k(x - T))`, give NaN at
        :math:`\pm\infty`, which is what a flipped exponent bit produces. This one differs from them nowhere else.

    Args:
        x: Floating-point input of any shape; never modified.
        threshold: :math:`T \ge 0`: a number, or a tensor that broadcasts to ``x`` without enlarging it: ``(1,)`` for the
            layer, ``(C, 1, 1)`` a channel, ``(C, H, W)`` or ``(F,)`` a neuron. It is used in the dtype of ``x`` and
            receives its gradient in its own.
        slope: :math:`k`, positive and finite.

    Returns:
        A tensor of the shape, dtype, device and memory format of ``x``.

    Raises:
        ThresholdError: ``x`` is not floating-point, the threshold would enlarge it, or the slope is not positive and
            finite.

    References:
        Ghavami et al., "FitAct: error resilient deep neural networks via fine-grained post-trainable activation
        functions", DATE 2022; Mousavi et al., "ProAct: progressive training for hybrid clipped activation function to
        enhance resilience of DNNs", arXiv 2406.06313.

    Examples:
        >>> hyrelu(torch.tensor([-1.0, 2.0, 6.0, 8.0, float("inf"), float("nan")]), 6.0).round(decimals=4)
        tensor([0., 2., 3., 0., 0., 0.])
    """
    if not 0 < slope < math.inf:
        raise ThresholdError(
            f"hyrelu got a slope of {slope}; it must be positive and finite, for example 20.0"
        )
    return run(_HyReLU(slope), x, threshold)
