"""Where a spike's threshold lies, in the shape of what it is held against."""

from torch import Tensor, nn

from clipact.functional._hoyer import along
from clipact.functional._hoyer_sums import magnitude
from clipact.nn import HoyerSpike

__all__ = ["threshold_by_output", "threshold_over"]


def threshold_over(spike: HoyerSpike, dims: int) -> Tensor | None:
    """The smallest input that spikes, in the shape in which it broadcasts to inputs.

    Args:
        spike: The layer.
        dims: Dimensions of its input, samples included.

    Returns:
        A tensor with that many dimensions; None if the layer takes no such input.
    """
    size = magnitude(spike.v_threshold.detach())
    if size.numel() == 1:
        size = size.reshape((1,) * dims)
    place = spike.running_extremum * (spike.threshold_scale / spike.levels)
    if size.dim() > dims or (not -dims <= spike.channel_dim < dims and place.numel() > 1):
        return None
    size = size.reshape((1,) * (dims - size.dim()) + size.shape)
    return size * along(place, dims, spike.channel_dim % dims)


def threshold_by_output(
    spike: HoyerSpike, layer: nn.Linear | nn.Conv2d, dims: int
) -> Tensor | None:
    """A spike's threshold for each output of the layer before it.

    Args:
        spike: Behind the layer.
        layer: With outputs along its last axis, if it is Linear, or else along axis 1.
        dims: Dimensions of what the layer gives, samples included.

    Returns:
        A tensor of shape ``(outputs,)``; None if thresholds differ within an output.
    """
    threshold = threshold_over(spike, dims)
    if threshold is None:
        return None
    outputs = layer.weight.shape[0]
    axis = dims - 1 if isinstance(layer, nn.Linear) else 1
    if threshold.numel() != threshold.shape[axis] or threshold.numel() not in {1, outputs}:
        return None
    return threshold.flatten().expand(outputs)
