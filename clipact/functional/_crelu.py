"""Activations that are zero up to a threshold and hold their output at another: one-sided and two-sided."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from clipact.functional._kernel import Backward, Forward, Kernel, drop_where, keep_where
from clipact.functional._run import run
from clipact.functional._shifted_relu import keep_passed, shift


@final
@dataclass(frozen=True)
class _Clipped(Kernel):
    two_sided: bool
    names: ClassVar[tuple[str, ...]] = ("tau", "m")
    scratch: ClassVar[int] = 2

    def compose(self, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
        tau, m = thresholds
        passed = ((x.abs() if self.two_sided else x) - tau).relu()
        size = torch.where(passed >= m, m, passed)
        # the sign is that of the output: with m = 0 it is 0, for all that the output can tell
        return torch.sign(x) * torch.sign(size) * size if self.two_sided else size

    def gradients(
        self, grad: Tensor, kept: Tensor, thresholds: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        size = kept.abs() if self.two_sided else kept
        below = torch.sign(thresholds[1] - size)
        dx, dm = grad * below * torch.sign(size), grad * (1 - below)
        if not self.two_sided:
            return dx, -dx, dm
        direction = torch.sign(kept)
        return dx, -dx * direction, dm * direction

    def forward_block(self, block: Forward) -> None:
        m = block.thresholds[1]
        shift(block, two_sided=self.two_sided)
        if self.two_sided:
            torch.maximum(block.y, -m, out=block.y)
        else:
            block.y.clamp_min_(0)
        torch.minimum(block.y, m, out=block.y)

    def backward_block(self, block: Backward) -> None:
        held, direction = block.scratch
        size = torch.abs(block.kept, out=held) if self.two_sided else block.kept
        torch.ge(size, block.thresholds[1], out=held)
        keep_passed(block, two_sided=self.two_sided)
        drop_where(held, block.dx, out=block.dx)
        if block.sums[0] is None and block.sums[1] is None:
            return
        if self.two_sided:
            torch.sign(block.kept, out=direction)
        if block.sums[1] is not None:
            dm = keep_where(held, block.grad, out=held)
            block.add(1, dm.mul_(direction) if self.two_sided else dm)
        if block.sums[0] is not None:
            block.subtract(0, direction.mul_(block.dx) if self.two_sided else block.dx)

    def export(self, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
        tau, m = thresholds
        if not self.two_sided:
            return torch.minimum((x - tau).relu(), m)
        return torch.sign(x) * torch.minimum((x.abs() - tau).relu(), m)


def crelu(x: Tensor, tau: float | Tensor, m: float | Tensor) -> Tensor:
    r"""Clipped shifted ReLU, neither the *concatenated* ReLU of that name nor FATReLU: :math:`y = \min(\max(x - \tau, 0), m)`.

    The concatenated ReLU doubles the channels; FATReLU does not shift what passes.
    :math:`m` clips the *output*: it is reached at the input :math:`\tau + m`.

    Use it for sparse activations in deep networks: of a standard normal input, the share :math:`\Phi(\tau)` becomes zero,
    and the clip keeps the variance from exploding with depth, as it does under :func:`shifted_relu`.

    :math:`+\infty` gives :math:`m`, :math:`-\infty` gives 0, NaN stays NaN. With :math:`m = \infty` this is
    :func:`shifted_relu`. With :math:`\tau = \infty` it is 0, and NaN at :math:`x = +\infty`.

    Gradients: :math:`\partial y/\partial x = 1` and :math:`\partial y/\partial\tau = -1` for :math:`\tau < x < \tau + m`,
    else both 0; :math:`\partial y/\partial m = 1` for :math:`\max(x - \tau, 0) \ge m`, else 0. At :math:`x = \tau` this is
    the convention of PyTorch's ReLU, at :math:`x = \tau + m` all of it goes to :math:`m`, and with :math:`m = 0` always.
    At NaN they are unspecified. Only the output is kept for the backward pass.

    Args:
        x: Floating-point input of any shape; never modified.
        tau: :math:`\tau \ge 0`, which is not checked here: a number, or a tensor that broadcasts to ``x`` without
            enlarging it: ``(1,)`` for the layer, ``(C, 1, 1)`` a channel, ``(C, H, W)`` or ``(F,)`` a neuron. It is used
            in the dtype of ``x`` and receives its gradient in its own.
        m: :math:`m \ge 0`, likewise, of the same granularity or another.

    Returns:
        A tensor of the shape, dtype, device and memory format of ``x``.

    Raises:
        ThresholdError: ``x`` is not floating-point, or a threshold would enlarge it.

    References:
        Price et al., "Deep neural network initialization with sparsity inducing activations", ICLR 2024, arXiv
        2402.16184.

    Examples:
        >>> crelu(torch.tensor([-3.0, 1.0, 1.5, 9.0, float("inf")]), 1.0, 2.0)
        tensor([0.0000, 0.0000, 0.5000, 2.0000, 2.0000])
    """
    return run(_Clipped(two_sided=False), x, tau, m)


def cst(x: Tensor, tau: float | Tensor, m: float | Tensor) -> Tensor:
    r"""Clipped soft threshold: :math:`y = \operatorname{sign}(x)\,\min(\max(|x| - \tau, 0), m)`.

    :math:`m` clips the *output*: it is reached at the inputs :math:`\pm(\tau + m)`.

    Use it for sparse activations that keep the sign, in deep networks: of a standard normal input, the share
    :math:`2\Phi(\tau) - 1` becomes zero, and the clip keeps the variance from exploding with depth, as it does under
    :func:`soft_threshold`.

    :math:`\pm\infty` give :math:`\pm m`, NaN stays NaN. With :math:`m = \infty` this is :func:`soft_threshold`. With
    :math:`\tau = \infty` it is 0, and NaN at :math:`x = \pm\infty`.

    Gradients: :math:`\partial y/\partial x = 1` and :math:`\partial y/\partial\tau = -\operatorname{sign}(x)` for
    :math:`\tau < |x| < \tau + m`, else both 0; :math:`\partial y/\partial m = \operatorname{sign}(x)` for
    :math:`|x| \ge \tau + m`, else 0. At :math:`|x| = \tau` this is the convention of PyTorch's ReLU, at
    :math:`|x| = \tau + m` all of it goes to :math:`m`. With :math:`m = 0` there are none: the sign is read off the output,
    which then has none. At NaN they are unspecified. Only the output is kept for the backward pass.

    Args:
        x: Floating-point input of any shape; never modified.
        tau: :math:`\tau \ge 0`, which is not checked here: a number, or a tensor that broadcasts to ``x`` without
            enlarging it, as in :func:`crelu`.
        m: :math:`m \ge 0`, likewise, of the same granularity or another.

    Returns:
        A tensor of the shape, dtype, device and memory format of ``x``.

    Raises:
        ThresholdError: ``x`` is not floating-point, or a threshold would enlarge it.

    References:
        Price et al., "Deep neural network initialization with sparsity inducing activations", ICLR 2024, arXiv
        2402.16184.

    Examples:
        >>> cst(torch.tensor([-9.0, -1.5, 1.0, 9.0, float("-inf")]), 1.0, 2.0)
        tensor([-2.0000, -0.5000,  0.0000,  2.0000, -2.0000])
    """
    return run(_Clipped(two_sided=True), x, tau, m)
