"""ReLU that falls to zero past a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from clipact.functional._kernel import Backward, Forward, Kernel, keep_where
from clipact.functional._run import run


@final
@dataclass(frozen=True)
class _ZeroedReLU(Kernel):
    trains: ClassVar[bool] = False

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
    r"""ReLU that drops to zero past a threshold.

    .. math::
        y = \begin{cases} x & 0 \le x \le T \\ 0 & \text{otherwise} \end{cases}

    Use it where a value past the threshold is a fault and 0 the least harmful replacement; in fault-injection studies this
    beats saturating by far.

    :math:`\pm\infty` and NaN give 0. Only with :math:`T = \infty` does :math:`+\infty` pass, since
    :math:`\infty \le \infty`; NaN gives 0 even then.

    Gradients: :math:`\partial y/\partial x = 1` for :math:`0 < x \le T`, else 0. The threshold receives none: its
    gradient is 0 wherever it exists, so train :func:`hyrelu` and harden it. Only the output is kept for the backward pass.

    Args:
        x: Floating-point input of any shape; never modified.
        threshold: :math:`T \ge 0`: a number, or a tensor that broadcasts to ``x`` without enlarging it: ``(1,)`` for the
            layer, ``(C, 1, 1)`` a channel, ``(C, H, W)`` or ``(F,)`` a neuron. It is used in the dtype of ``x``.

    Returns:
        A tensor of the shape, dtype, device and memory format of ``x``.

    Raises:
        ThresholdError: ``x`` is not floating-point, or the threshold would enlarge it.

    References:
        Hoang, Hanif and Shafique, "FT-ClipAct: resilience analysis of deep neural networks and improving their fault
        tolerance using clipped activation", DATE 2020.

    Examples:
        >>> zeroed_relu(torch.tensor([-1.0, 2.0, 8.0, float("inf"), float("nan")]), 6.0)
        tensor([0., 2., 0., 0., 0.])
    """
    return run(_ZeroedReLU(), x, threshold)
