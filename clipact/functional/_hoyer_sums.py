"""The two sums of the clipped input from which a Hoyer extremum is made, in one pass over memory."""

from typing import NamedTuple, final

import torch
from torch import Tensor

from clipact.functional._blocks import Scratch, blocks
from clipact.functional._run import only_composes
from clipact.functional._threshold import as_number

TINY = 2.0**-14
"""The smallest clip value, so that dividing by it, in half precision too, gives no NaN."""


@final
class Clip(NamedTuple):
    """How the input is clipped for the statistic.

    Attributes:
        levels: How many spikes a neuron can send at once; each has its own share of the input.
        exclude_saturated: Shares at or past their clip count as 0.
    """

    levels: int = 1
    exclude_saturated: bool = False


def hoyer_sums(
    x: Tensor, v_threshold: Tensor, channel: int | None, clip: Clip
) -> tuple[Tensor, Tensor]:
    """Sums of the squares of the clipped shares and of the shares, without gradients.

    Args:
        x: Floating-point input of any shape.
        v_threshold: The clip value, with the dimensions of ``x``.
        channel: The dimension to keep, counted from the front, or None.
        clip: How the input is clipped.

    Returns:
        Two tensors of shape ``(1,)`` or ``(C,)``, in single precision at least.
    """
    with torch.no_grad():
        x, size = x.detach(), magnitude(v_threshold.detach()).to(x.dtype)
        shape = [x.shape[dim] if dim == channel else 1 for dim in range(x.dim())]
        if torch.compiler.is_compiling() or torch.jit.is_tracing() or only_composes(x):
            share = torch.nan_to_num((x / size).clamp(0, 1), 0.0)
            squares, total = _sums(share.to(_wide(x)), shape, clip)
        else:
            squares, total = _sums_by_block(x, size, shape, clip)
        return squares.reshape(-1), total.reshape(-1)


def magnitude(v_threshold: Tensor) -> Tensor:
    """Its absolute value, never so small that dividing by it gives NaN."""
    return v_threshold.abs().clamp_min(TINY)


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _sums_by_block(x: Tensor, size: Tensor, shape: list[int], clip: Clip) -> tuple[Tensor, Tensor]:
    limit = as_number(x, size) if clip == Clip() and x.dtype is _wide(x) else None
    sums = _add_up(x, size, shape, clip, limit)
    if limit is None or sums[1].isfinite().all():
        return sums
    return _add_up(x, size, shape, clip, None)  # NaN counts as 0


def _add_up(
    x: Tensor, size: Tensor, shape: list[int], clip: Clip, limit: float | None
) -> tuple[Tensor, Tensor]:
    """Both sums, in one pass over main memory. With a number as ``limit`` NaN is not looked for."""
    squares, total = (x.new_zeros(shape, dtype=_wide(x)) for _ in range(2))
    scratch = Scratch(1)
    for x_, size_, squares_, total_ in blocks(x, size, squares, total):
        (share,) = scratch.like(x_)
        if limit is None:
            torch.div(x_, size_, out=share).clamp_(0, 1).nan_to_num_(0.0)
        else:
            torch.clamp(x_, 0, limit, out=share)
        more, most = _sums(share.to(total.dtype), list(total_.shape), clip)
        squares_.add_(more)
        total_.add_(most)
    return (squares, total) if limit is None else (squares / limit**2, total / limit)


def _sums(share: Tensor, shape: list[int], clip: Clip) -> tuple[Tensor, Tensor]:
    """Sums of squares and values of each level's part of a share between 0 and 1, which is overwritten.

    Of ``p`` levels, the first ``floor(p)`` are full, each 1, and the next has the fraction that remains.
    """
    if clip.levels == 1 and not clip.exclude_saturated:
        total = _sum(share, shape)
        return _sum(share.mul_(share), shape), total
    reached = share.mul_(clip.levels)
    whole = _sum(reached, shape)
    fraction = reached.frac_()
    partial = _sum(fraction, shape)
    squares = _sum(fraction.mul_(fraction), shape)
    if clip.exclude_saturated:
        return squares, partial
    return whole - partial + squares, whole


def _sum(values: Tensor, shape: list[int]) -> Tensor:
    """The sum to a shape, in memory of its own."""
    sums = values.sum_to_size(shape)
    return sums.clone() if sums.shape == values.shape else sums
