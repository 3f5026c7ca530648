"""The smooth zeroed ReLU whose slope is measured by its threshold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch
from torch import Tensor

from clipact.errors import ThresholdError
from clipact.functional._kernel import Backward, Forward, Kernel
from clipact.functional._run import run

_FAR: Final = 1e4
"""Multiples of the threshold past which nothing passes in any precision; larger ones would overflow."""


@final
@dataclass(frozen=True)
class _RelativeHyReLU(Kernel):
    slope: float
    keeps_output: ClassVar[bool] = False
    scratch: ClassVar[int] = 2

    def compose(self, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
        finite = torch.where((x > 0) & (x <= torch.finfo(x.dtype).max), x, 0.0)
        return finite * torch.sigmoid(self.slope * (1 - _multiple(finite, thresholds[0])))

    def gradients(
        self, grad: Tensor, kept: Tensor, thresholds: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        finite = torch.where((kept > 0) & (kept <= torch.finfo(kept.dtype).max), kept, 0.0)
        multiple = _multiple(finite, thresholds[0])
        gate = torch.sigmoid(self.slope * (1 - multiple))
        fall = grad * gate * (1 - gate) * multiple * self.slope
        return torch.where(finite > 0, grad * gate - fall, 0.0), fall * multiple

    def forward_block(self, block: Forward) -> None:
        torch.nan_to_num(block.x, 0, 0, 0, out=block.y)
        block.y.clamp_min_(0)
        multiple = block.scratch[0]
        self._measure(block.y, block.thresholds[0], out=multiple)
        block.y.mul_(multiple.sub_(1).mul_(-self.slope).sigmoid_())

    def backward_block(self, block: Backward) -> None:
        multiple, gate = block.scratch
        torch.nan_to_num(block.kept, 0, 0, 0, out=multiple)
        multiple.clamp_min_(0)
        torch.ops.aten.threshold_backward.grad_input(block.grad, multiple, 0, grad_input=block.dx)
        self._measure(multiple, block.thresholds[0], out=multiple)
        torch.sub(multiple, 1, out=gate).mul_(-self.slope).sigmoid_()
        block.dx.mul_(gate)
        fall = torch.ops.aten.sigmoid_backward.grad_input(block.grad, gate, grad_input=gate)
        fall.mul_(multiple).mul_(self.slope)
        block.dx.sub_(fall)
        block.add(0, fall.mul_(multiple))

    def _measure(self, finite: Tensor, threshold: Tensor, *, out: Tensor) -> None:
        smallest = torch.finfo(finite.dtype).tiny
        torch.div(finite, threshold.clamp_min(smallest), out=out).clamp_max_(_FAR)


def _multiple(finite: Tensor, threshold: Tensor) -> Tensor:
    return (finite / threshold.clamp_min(torch.finfo(finite.dtype).tiny)).clamp_max(_FAR)


def relative_hyrelu(x: Tensor, threshold: float | Tensor, slope: float = 20.0) -> Tensor:
    r"""Smooth zeroed ReLU whose fall scales with its threshold: :math:`y = \max(x, 0)\,\sigma(k (1 - x/T))`.

    Unlike :func:`hyrelu`, whose slope is per unit of ``x``, it has the same shape for every threshold: at a tenth of
    it, :math:`\sigma(0.9\,k)` of the input passes, whatever the threshold. Train with a slope that grows, then deploy
    :func:`zeroed_relu`, which it comes close to.

    :math:`\pm\infty` and NaN give 0, for every :math:`T`. At :math:`T \le 0` nothing passes; with :math:`T = \infty`
    finite values give :math:`\sigma(k)` of the ReLU.

    Gradients, with :math:`s = \sigma(k (1 - x/T))`: :math:`\partial y/\partial x = s - k\,(x/T)\,s (1 - s)` for finite
    :math:`x > 0`, else 0, and :math:`\partial y/\partial T = k\,(x/T)^2\,s (1 - s)` likewise. The input is kept for the
    backward pass, nothing else.

    Note:
        This form is ours; the papers' is :func:`hyrelu`.

    Args:
        x: Floating-point input of any shape; never modified.
        threshold: :math:`T`: a number, or a tensor that broadcasts to ``x`` without enlarging it, as for
            :func:`hyrelu`.
        slope: :math:`k`, at least 1 and finite.

    Returns:
        A tensor of the shape, dtype, device and memory format of ``x``.

    Raises:
        ThresholdError: ``x`` is not floating-point, the threshold would enlarge it, or the slope is below 1 or not
            finite.

    Examples:
        >>> relative_hyrelu(torch.tensor([-1.0, 0.1, 0.2, 0.4, float("inf")]), 0.2).round(decimals=4)
        tensor([0.0000, 0.1000, 0.1000, 0.0000, 0.0000])
    """
    if not 1 <= slope < math.inf:
        raise ThresholdError(
            f"relative_hyrelu got a slope of {slope}; it must be at least 1 and finite, for example 20.0"
        )
    return run(_RelativeHyReLU(slope), x, threshold)
