"""How a threshold meets an input: the shapes that fit, and the error when they do not."""

import math

import torch
from torch import Tensor

from clipact.errors import ThresholdError


def fit(x: Tensor, threshold: float | Tensor, name: str) -> float | Tensor:
    """The threshold, with as many dimensions as ``x`` if it is a tensor.

    Args:
        x: Floating-point input of any shape.
        threshold: A number, or a tensor that broadcasts to ``x`` without enlarging it. One element always does.
        name: What the threshold is called, for the error message.

    Raises:
        ThresholdError: ``x`` is not floating-point, or the threshold would enlarge it.
    """
    if not x.is_floating_point():
        raise ThresholdError(
            f"{name} was applied to an input of {x.dtype}, shape {tuple(x.shape)}; activations take floating-point"
            " inputs: convert it with x.float()"
        )
    threshold = _held_finite(x, threshold)
    if not isinstance(threshold, Tensor):
        return threshold
    if threshold.numel() == 1:
        return threshold if threshold.dim() == x.dim() else threshold.reshape((1,) * x.dim())
    missing = x.dim() - threshold.dim()
    pairs = zip(threshold.shape, x.shape[missing:], strict=False)
    if missing < 0 or any(size not in (1, full) for size, full in pairs):
        raise ThresholdError(
            f"{name} of shape {tuple(threshold.shape)} does not broadcast to an input of shape {tuple(x.shape)} without"
            f" enlarging it; give one value, one a channel (C, 1, 1), or one a neuron {tuple(x.shape[1:])}"
        )
    return threshold if missing == 0 else threshold.reshape((1,) * missing + threshold.shape)


def _held_finite(x: Tensor, threshold: float | Tensor) -> float | Tensor:
    """A finite threshold beyond the range of the input's dtype is its largest number, not infinity, past which nothing is."""
    largest = torch.finfo(x.dtype).max
    if not isinstance(threshold, Tensor):
        finite = math.isfinite(threshold)
        return max(-largest, min(float(threshold), largest)) if finite else float(threshold)
    if not threshold.is_floating_point() or torch.finfo(threshold.dtype).max <= largest:
        return threshold
    return torch.where(threshold.isinf(), threshold, threshold.clamp(-largest, largest))


def at_dtype(x: Tensor, threshold: Tensor) -> Tensor:
    """The threshold as it meets ``x``: in its dtype, and finite there if it is finite."""
    held = _held_finite(x, threshold)
    return held.to(x.dtype) if isinstance(held, Tensor) else x.new_tensor(held)


def as_tensor(x: Tensor, threshold: float | Tensor) -> Tensor:
    """A fitted threshold as a tensor with the dimensions of ``x``; a number costs a fill and no synchronisation."""
    if isinstance(threshold, Tensor):
        return threshold
    return x.new_full((1,) * x.dim(), threshold)


def as_number(x: Tensor, threshold: float | Tensor) -> float | None:
    """A fitted threshold as a number in the precision of ``x``, or None where it is not one or reading it would wait.

    A tensor on an accelerator is never read: that would stall the host until the device has caught up.
    """
    if not isinstance(threshold, Tensor):
        return threshold
    if threshold.numel() == 1 and threshold.device.type == "cpu":
        return float(threshold.detach().to(x.dtype))
    return None


def varies_in_memory(x: Tensor, threshold: Tensor) -> bool:
    """Whether a fitted threshold changes from one element of ``x`` to its neighbour in memory."""
    sizes = sorted((stride, size) for stride, size in zip(x.stride(), threshold.shape, strict=True))
    return bool(sizes) and sizes[0][1] > 1
