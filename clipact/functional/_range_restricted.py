"""Two-sided ranges around any activation: hold the bound, or fall to zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from clipact.functional._kernel import Backward, Forward, Kernel, drop_where, keep_where
from clipact.functional._run import run
from clipact.functional._threshold import as_number


@final
@dataclass(frozen=True)
class _Held(Kernel):
    nan_to_zero: bool
    names: ClassVar[tuple[str, ...]] = ("low", "high")
    scratch: ClassVar[int] = 2

    def compose(self, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
        low, high = thresholds
        y = torch.where(x >= high, high, torch.where(x <= low, low, x))
        return torch.where(y.isnan(), 0.0, y) if self.nan_to_zero else y

    def gradients(
        self, grad: Tensor, kept: Tensor, thresholds: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        low, high = thresholds
        below, above = torch.sign(high - kept), torch.sign(kept - low)
        inside = grad * below
        return inside * above, inside * (1 - above), grad * (1 - below)

    def forward_block(self, block: Forward) -> None:
        low, high = block.thresholds
        torch.maximum(block.x, low, out=block.y)
        torch.minimum(block.y, high, out=block.y)
        if self.nan_to_zero:
            block.y.nan_to_num_(0, torch.inf, -torch.inf)

    def backward_block(self, block: Backward) -> None:
        low, high = block.thresholds
        held, part = block.scratch
        torch.ge(block.kept, high, out=held)
        drop_where(held, block.grad, out=block.dx)
        if block.sums[1] is not None:
            block.add(1, keep_where(held, block.grad, out=part))
        torch.le(block.kept, low, out=held)
        if block.sums[0] is not None:
            block.add(0, keep_where(held, block.dx, out=part))
        drop_where(held, block.dx, out=block.dx)

    def export(self, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
        y = torch.minimum(torch.maximum(x, thresholds[0]), thresholds[1])
        return torch.where(y.isnan(), 0.0, y) if self.nan_to_zero else y

    def infer(self, x: Tensor, thresholds: Sequence[float | Tensor]) -> Tensor:
        low, high = (as_number(x, threshold) for threshold in thresholds)
        if low is None or high is None or self.nan_to_zero:
            return super().infer(x, thresholds)
        return torch.clamp(x, low, high)


@final
@dataclass(frozen=True)
class _Dropped(Kernel):
    names: ClassVar[tuple[str, ...]] = ("low", "high")
    keeps_output: ClassVar[bool] = False
    trains: ClassVar[bool] = False

    def compose(self, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
        low, high = thresholds
        return torch.where((x >= low) & (x <= high), x, 0.0)

    def gradients(
        self, grad: Tensor, kept: Tensor, thresholds: Sequence[Tensor]
    ) -> tuple[Tensor | None, ...]:
        low, high = thresholds
        excess = (kept - torch.clamp(kept, low, high)).abs()
        return grad * (1 - torch.sign(torch.nan_to_num(excess, nan=1.0))), None, None

    def forward_block(self, block: Forward) -> None:
        _keep_inside(block.x, block.x, block.thresholds, block.scratch[0], out=block.y)

    def backward_block(self, block: Backward) -> None:
        _keep_inside(block.kept, block.grad, block.thresholds, block.scratch[0], out=block.dx)


def _keep_inside(
    x: Tensor, values: Tensor, thresholds: Sequence[Tensor], mask: Tensor, *, out: Tensor
) -> None:
    keep_where(torch.ge(x, thresholds[0], out=mask), values, out=out)
    keep_where(torch.le(x, thresholds[1], out=mask), out, out=out)


def range_restricted(
    x: Tensor,
    low: float | Tensor,
    high: float | Tensor,
    *,
    zero: bool = False,
    nan_to_zero: bool = False,
) -> Tensor:
    r"""Hold ``x`` within ``[low, high]``, or drop to zero what lies outside.

    .. math::
        y = \min(\max(x, l), h) \qquad\text{or, with zero,}\qquad
        y = \begin{cases} x & l \le x \le h \\ 0 & \text{otherwise.} \end{cases}

    Use it behind any activation, linear layer or attention product; a one-sided range has an infinite bound.

    At :math:`\pm\infty` the bound holds, or with ``zero`` 0; an infinity within an infinite bound passes. NaN stays NaN
    unless ``nan_to_zero``; with ``zero`` it always becomes 0, as it lies in no range.

    Gradients: holding, :math:`\partial y/\partial x = 1` for :math:`l < x < h`, :math:`\partial y/\partial h = 1` for
    :math:`x \ge h`, and :math:`\partial y/\partial l = 1` for :math:`x \le l`, unless also :math:`x \ge h`. With
    ``zero``, :math:`\partial y/\partial x = 1` for :math:`l \le x \le h` and the bounds receive none. At NaN the
    gradients are unspecified, except that they are 0 wherever NaN becomes 0.

    Args:
        x: Floating-point input of any shape; never modified.
        low: Lower bound :math:`l`: a number, or a tensor that broadcasts to ``x`` without enlarging it.
        high: Upper bound :math:`h`, likewise; nowhere below ``low``, which is not checked here.
        zero: Drop to 0 what lies outside instead of holding the bound.
        nan_to_zero: NaN becomes 0, at the cost of one more operation.

    Returns:
        A tensor of the shape, dtype, device and memory format of ``x``.

    Raises:
        ThresholdError: ``x`` is not floating-point, or a bound would enlarge it.

    References:
        Chen et al., "A low-cost fault corrector for deep neural networks through range restriction" (Ranger), DSN 2021.

    Examples:
        >>> x = torch.tensor([-3.0, 0.5, 9.0, float("nan")])
        >>> range_restricted(x, -1.0, 2.0)
        tensor([-1.0000,  0.5000,  2.0000,     nan])
        >>> range_restricted(x, -1.0, 2.0, zero=True)
        tensor([0.0000, 0.5000, 0.0000, 0.0000])
    """
    return run(_Dropped() if zero else _Held(nan_to_zero), x, low, high)
