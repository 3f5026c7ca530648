"""How a threshold meets an input: shapes, dtypes, and the error when they do not fit."""

from torch import Tensor

from clipact.errors import ThresholdError


def fit(x: Tensor, threshold: float | Tensor, name: str = "threshold") -> float | Tensor:
    """The threshold in the dtype of ``x``, in a shape that broadcasts to ``x`` without enlarging it.

    Args:
        x: Floating-point input of any shape.
        threshold: A number, or a tensor of shape ``(1,)`` (layer), ``(C, 1, 1)`` (channel), ``(C, H, W)`` or ``(F,)``
            (neuron). Gradients flow back to it in its own dtype.
        name: What the threshold is called, for the error message.

    Raises:
        ThresholdError: ``x`` is not floating-point, or the threshold would enlarge it.
    """
    if not x.is_floating_point():
        raise ThresholdError(
            f"{name} needs a floating-point input, got {x.dtype} of shape {tuple(x.shape)}; convert it first: x.float()"
        )
    if not isinstance(threshold, Tensor):
        return float(threshold)
    check_shape(x, threshold, name)
    if threshold.dim() > x.dim():
        threshold = threshold.reshape(x.shape)
    return threshold.to(x.dtype)


def check_shape(x: Tensor, threshold: Tensor, name: str) -> None:
    """Raise unless ``threshold`` broadcasts to ``x`` without enlarging it; one element always does."""
    if threshold.numel() == 1:
        return
    spans = zip(reversed(threshold.shape), reversed(x.shape), strict=False)
    if threshold.dim() > x.dim() or any(size not in (1, span) for size, span in spans):
        raise ThresholdError(
            f"{name} of shape {tuple(threshold.shape)} does not broadcast to an input of shape {tuple(x.shape)} without"
            f" enlarging it; give one value, one a channel (C, 1, 1), or one a neuron {tuple(x.shape[1:])}"
        )
