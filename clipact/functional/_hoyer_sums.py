"""The two sums of the clipped input from which a Hoyer extremum is made, in one pass over memory."""

import math
from typing import NamedTuple, final

import torch
from torch import Tensor

from clipact.functional._blocks import Scratch, blocks, flat_blocks
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
    x, v_threshold = x.detach(), v_threshold.detach()
    shape = [x.shape[dim] if dim == channel else 1 for dim in range(x.dim())]
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or only_composes(x):
        share = torch.nan_to_num((x / magnitude(v_threshold).to(x.dtype)).clamp(0, 1), 0.0)
        squares, total = _sums(share.to(_wide(x)), shape, clip)
    else:
        squares, total = _sums_by_block(x, v_threshold, shape, clip)
    return squares.reshape(-1), total.reshape(-1)


def magnitude(v_threshold: Tensor) -> Tensor:
    """Its absolute value, never so small that dividing by it gives NaN."""
    return v_threshold.abs().clamp_min(TINY)


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _sums_by_block(
    x: Tensor, v_threshold: Tensor, shape: list[int], clip: Clip
) -> tuple[Tensor, Tensor]:
    quick = as_number(x, v_threshold) if clip == Clip() and x.dtype is _wide(x) else None
    if quick is not None:
        sums = _sums_quickly(x, max(abs(quick), TINY), shape)
        if sums is not None:
            return sums
    size = magnitude(v_threshold).to(x.dtype)
    squares, total = (x.new_zeros(shape, dtype=_wide(x)) for _ in range(2))
    scratch = Scratch(1)
    for x_, size_, squares_, total_ in blocks(x, size, squares, total):
        share = torch.div(x_, size_, out=scratch.like(x_)[0]).clamp_(0, 1).nan_to_num_(0.0)
        more, most = _sums(share.to(total.dtype), list(total_.shape), clip)
        squares_.add_(more)
        total_.add_(most)
    return squares, total


def _sums_quickly(x: Tensor, size: float, shape: list[int]) -> tuple[Tensor, Tensor] | None:
    """In half the passes, where the clip value is a number; None where an input is NaN."""
    scratch = Scratch(1)
    pieces = flat_blocks(x) if max(shape, default=1) == 1 else None
    if pieces is not None:
        square, sum_ = 0.0, 0.0
        for (piece,) in pieces:
            share = torch.clamp(piece, 0, size, out=scratch.like(piece)[0])
            sum_ += share.sum().item()
            square += share.mul_(share).sum().item()
        squares, total = x.new_tensor([[square / size**2], [sum_ / size]]).unbind()
        return (squares, total) if math.isfinite(sum_) else None
    squares, total = (x.new_zeros(shape) for _ in range(2))
    for x_, squares_, total_ in blocks(x, squares, total):
        share = torch.clamp(x_, 0, size, out=scratch.like(x_)[0])
        total_.add_(share.sum_to_size(total_.shape))
        squares_.add_(share.mul_(share).sum_to_size(total_.shape))
    finite = math.isfinite(total.sum().item())
    return (squares.div_(size**2), total.div_(size)) if finite else None


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
