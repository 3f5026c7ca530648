"""ReLU that holds its value past a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from clipact.functional._kernel import Backward, Forward, Kernel, drop_where, keep_where
from clipact.functional._run import run
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

    def export(self, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
        y = torch.minimum(x.relu(), thresholds[0])
        return torch.where(y.isnan(), 0.0, y) if self.nan_to_zero else y

    def infer(self, x: Tensor, thresholds: Sequence[float | Tensor]) -> Tensor:
        if self.nan_to_zero:
            return super().infer(x, thresholds)
        limit = as_number(x, thresholds[0])
        if limit is not None:
            return torch.clamp(x, 0.0, limit)
        limit = as_tensor(x, thresholds[0]).to(x.dtype)
        if x.device.type != "cpu" or varies_in_memory(x, limit):
            return torch.clamp(x, x.new_zeros(()), limit)
        return super().infer(x, thresholds)


def saturated_relu(x: Tensor, threshold: float | Tensor, *, nan_to_zero: bool = False) -> Tensor:
    r"""ReLU that saturates at a threshold: :math:`y = \min(\max(x, 0), T)`.

    Use it where a value that is too large is probably a fault, and a large one the best guess at what it was.

    :math:`+\infty` gives :math:`T`, :math:`-\infty` gives 0. NaN stays NaN, as it does in a clamp, unless
    ``nan_to_zero``. With :math:`T = \infty` this is the ReLU.

    Gradients: :math:`\partial y/\partial x = 1` for :math:`0 < x < T`, else 0, and :math:`\partial y/\partial T = 1`
    for :math:`\max(x, 0) \ge T`, else 0: at 0 the convention of PyTorch's ReLU, at :math:`x = T` all of it for the
    threshold. At NaN they are unspecified, except that they are 0 with ``nan_to_zero``. Only the output is kept for the
    backward pass.

    Args:
        x: Floating-point input of any shape; never modified.
        threshold: :math:`T \ge 0`: a number, or a tensor that broadcasts to ``x`` without enlarging it: ``(1,)`` for the
            layer, ``(C, 1, 1)`` a channel, ``(C, H, W)`` or ``(F,)`` a neuron. It is used in the dtype of ``x`` and
            receives its gradient in its own.
        nan_to_zero: NaN becomes 0, at the cost of one more operation.

    Returns:
        A tensor of the shape, dtype, device and memory format of ``x``.

    Raises:
        ThresholdError: ``x`` is not floating-point, or the threshold would enlarge it.

    References:
        Chen et al., "A low-cost fault corrector for deep neural networks through range restriction" (Ranger), DSN 2021.

    Examples:
        >>> saturated_relu(torch.tensor([-1.0, 2.0, 8.0, float("inf")]), 6.0)
        tensor([0., 2., 6., 6.])
        >>> per_channel = torch.tensor([1.0, 2.0]).reshape(2, 1, 1)
        >>> saturated_relu(torch.full((1, 2, 1, 2), 5.0), per_channel).flatten()
        tensor([1., 1., 2., 2.])
    """
    return run(_SaturatedReLU(nan_to_zero), x, threshold)
