"""Activations that are zero up to a threshold and then start from zero: one-sided and two-sided."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from clipact.functional._kernel import Backward, Forward, Kernel
from clipact.functional._run import run
from clipact.functional._threshold import as_number


@final
@dataclass(frozen=True)
class _Shifted(Kernel):
    two_sided: bool
    names: ClassVar[tuple[str, ...]] = ("tau",)

    def compose(self, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
        if self.two_sided:
            return torch.sign(x) * (x.abs() - thresholds[0]).relu()
        return (x - thresholds[0]).relu()

    def gradients(
        self,
        grad: Tensor,
        kept: Tensor,
        thresholds: Sequence[Tensor],  # noqa: ARG002 # the output alone says what passed
    ) -> tuple[Tensor, ...]:
        direction = torch.sign(kept)
        return grad * direction.abs(), -grad * direction

    def forward_block(self, block: Forward) -> None:
        shift(block, two_sided=self.two_sided)
        if not self.two_sided:
            block.y.clamp_min_(0)

    def backward_block(self, block: Backward) -> None:
        if not self.two_sided:
            keep_passed(block, two_sided=False)
            block.subtract(0, block.dx)
            return
        keep_passed(block, two_sided=True)
        if block.sums[0] is not None:
            direction = torch.sign(block.kept, out=block.scratch[0])
            block.subtract(0, direction.mul_(block.dx))

    def infer(self, x: Tensor, thresholds: Sequence[float | Tensor]) -> Tensor:
        tau = as_number(x, thresholds[0])
        if self.two_sided and tau is not None and 0 <= tau < math.inf:
            return torch.nn.functional.softshrink(x, tau)
        return super().infer(x, thresholds)


def shift(block: Forward, *, two_sided: bool) -> None:
    """Write ``x - tau`` to ``block.y``, two-sided ``x`` less what of it lies within ``[-tau, tau]``."""
    tau = block.thresholds[0]
    if not two_sided:
        torch.sub(block.x, tau, out=block.y)
        return
    torch.maximum(block.x, -tau, out=block.y)
    torch.minimum(block.y, tau, out=block.y)
    torch.sub(block.x, block.y, out=block.y)


def keep_passed(block: Backward, *, two_sided: bool) -> None:
    """Write the incoming gradient to ``block.dx`` where the kept output is not zero, else 0."""
    mask = torch.ops.aten.softshrink_backward if two_sided else torch.ops.aten.threshold_backward
    mask.grad_input(block.grad, block.kept, 0, grad_input=block.dx)


def shifted_relu(x: Tensor, tau: float | Tensor) -> Tensor:
    r"""ReLU that starts at a threshold: :math:`y = \max(x - \tau, 0)`.

    Use it for sparse activations: of a standard normal input, the share :math:`\Phi(\tau)` becomes zero. In deep networks
    use :func:`crelu`: without a clip, this one explodes or dies with depth. What passes is shifted, so that the function
    is continuous; it is not the ``x if x >= tau else 0`` that is called FATReLU.

    :math:`+\infty` stays :math:`+\infty`, :math:`-\infty` gives 0, NaN stays NaN. With :math:`\tau = 0` this is the ReLU;
    with :math:`\tau = \infty` it is 0, and NaN at :math:`x = +\infty`.

    Gradients: :math:`\partial y/\partial x = 1` and :math:`\partial y/\partial\tau = -1` for :math:`x > \tau`, else both 0:
    at the kink the convention of PyTorch's ReLU. At NaN they are unspecified. Only the output is kept for the backward
    pass.

    Args:
        x: Floating-point input of any shape; never modified.
        tau: :math:`\tau \ge 0`, which is not checked here: a number, or a tensor that broadcasts to ``x`` without
            enlarging it: ``(1,)`` for the layer, ``(C, 1, 1)`` a channel, ``(C, H, W)`` or ``(F,)`` a neuron. It is used
            in the dtype of ``x`` and receives its gradient in its own.

    Returns:
        A tensor of the shape, dtype, device and memory format of ``x``.

    Raises:
        ThresholdError: ``x`` is not floating-point, or the threshold would enlarge it.

    References:
        Price et al., "Deep neural network initialization with sparsity inducing activations", ICLR 2024, arXiv
        2402.16184.

    Examples:
        >>> shifted_relu(torch.tensor([-3.0, 0.5, 1.0, 3.0, float("inf")]), 1.0)
        tensor([0., 0., 0., 2., inf])
    """
    return run(_Shifted(two_sided=False), x, tau)


def soft_threshold(x: Tensor, tau: float | Tensor) -> Tensor:
    r"""Soft threshold: :math:`y = \operatorname{sign}(x)\,\max(|x| - \tau, 0)`.

    Use it for sparse activations that keep the sign: of a standard normal input, the share :math:`2\Phi(\tau) - 1`
    becomes zero. In deep networks use :func:`cst`: without a clip, this one explodes or dies with depth. It is PyTorch's
    ``softshrink`` with a threshold that may be a tensor and trains.

    :math:`\pm\infty` stay :math:`\pm\infty`, NaN stays NaN. With :math:`\tau = 0` this is the identity; with
    :math:`\tau = \infty` it is 0, and NaN at :math:`x = \pm\infty`.

    Gradients: :math:`\partial y/\partial x = 1` and :math:`\partial y/\partial\tau = -\operatorname{sign}(x)` for
    :math:`|x| > \tau`, else both 0, also at the kinks and, with :math:`\tau = 0`, at :math:`x = 0`. At NaN they are
    unspecified. Only the output is kept for the backward pass.

    Args:
        x: Floating-point input of any shape; never modified.
        tau: :math:`\tau \ge 0`, which is not checked here: a number, or a tensor that broadcasts to ``x`` without
            enlarging it, as in :func:`shifted_relu`.

    Returns:
        A tensor of the shape, dtype, device and memory format of ``x``.

    Raises:
        ThresholdError: ``x`` is not floating-point, or the threshold would enlarge it.

    References:
        Price et al., "Deep neural network initialization with sparsity inducing activations", ICLR 2024, arXiv
        2402.16184.

    Examples:
        >>> soft_threshold(torch.tensor([-3.0, 0.5, 1.0, 3.0, float("-inf")]), 1.0)
        tensor([-2., 0., 0., 2., -inf])
    """
    return run(_Shifted(two_sided=True), x, tau)
