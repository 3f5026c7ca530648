"""How fine a threshold is, and the shape that follows from it."""

from collections.abc import Callable
from enum import StrEnum

from torch import Tensor

from clipact.errors import CalibrationError

Reduction = Callable[[Tensor, tuple[int, ...]], Tensor]


class Granularity(StrEnum):
    """One threshold a layer, a channel or a neuron; the plain strings ``"layer"``, ``"channel"``, ``"neuron"`` work too."""

    LAYER = "layer"
    CHANNEL = "channel"
    NEURON = "neuron"

    @classmethod
    def _missing_(cls, value: object) -> "Granularity":
        raise CalibrationError(
            f"granularity {value!r} asked for; there is {', '.join(repr(each.value) for each in cls)}"
        )


def channel_axis(dims: int, channel_dim: int | None = None) -> int:
    """Which axis of a batch of activations counts channels.

    Args:
        dims: Number of dimensions of the activation, batch included.
        channel_dim: The axis, batch included, if the default is wrong; negative values count from the end.

    Returns:
        ``channel_dim`` made positive; by default 1 for images and volumes ``(N, C, H, W)``, ``(N, C, D, H, W)``, and the
        last axis for vectors ``(N, F)`` and sequences ``(N, L, F)``.

    Raises:
        CalibrationError: The axis does not exist or is the batch axis.
    """
    if channel_dim is None:
        return 1 if dims >= 4 else dims - 1
    axis = channel_dim + dims if channel_dim < 0 else channel_dim
    if not 0 < axis < dims:
        raise CalibrationError(
            f"channel_dim={channel_dim} is not an axis after the batch of an activation with {dims} dimensions; "
            f"use 1 to {dims - 1}"
        )
    return axis


def reduce_to(
    neurons: Tensor, granularity: Granularity, reduction: Reduction, channel_dim: int | None = None
) -> Tensor:
    """Reduce a value per neuron to a value per channel or layer, in the shape that broadcasts as a threshold.

    Args:
        neurons: Values of shape ``(C, H, W)``, ``(F,)``, … (no batch axis).
        granularity: What to reduce to.
        reduction: Reduces the given axes of a tensor, keeping them as axes of length 1.
        channel_dim: As in :func:`channel_axis`, batch included.

    Returns:
        ``(1,)`` for a layer; ``(C, 1, 1)`` (or ``(F,)``) for channels; the input itself for neurons.
    """
    if granularity is Granularity.NEURON:
        return neurons if neurons.dim() else neurons.reshape(1)
    if granularity is Granularity.LAYER or neurons.dim() == 0:
        return reduction(neurons.reshape(-1), (0,)).reshape(1)
    axis = channel_axis(neurons.dim() + 1, channel_dim) - 1
    others = tuple(dim for dim in range(neurons.dim()) if dim != axis)
    reduced = reduction(neurons, others) if others else neurons
    return reduced.reshape(reduced.shape[axis:])
