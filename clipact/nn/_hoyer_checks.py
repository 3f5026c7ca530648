"""Settings of the Hoyer layers that have no meaning, refused when a layer is made."""

from torch import Tensor

from clipact.errors import SpikingError, ThresholdError


def check_positive(owner: str, name: str, v_threshold: Tensor) -> None:
    """Refuse a clip value of 0, at which everything would spike, and of infinity, at which nothing would.

    Raises:
        ThresholdError: It is.
    """
    if v_threshold.device.type == "meta":
        return
    for value, what in ((0.0, "everything"), (float("inf"), "nothing")):
        if bool((v_threshold == value).any()):
            raise ThresholdError(
                f"{owner} got a {name} of {value:g}, at which {what} spikes; give a positive clip value, for example 1.0"
            )


def check_firing(owner: str, spike_grad: object, threshold_scale: float) -> None:
    """Refuse a surrogate that is only named, and a factor on the threshold that has no meaning.

    Raises:
        SpikingError: The one cannot be called, or the other is not positive and finite.
    """
    if spike_grad is not None and not callable(spike_grad):
        raise SpikingError(
            f"{owner} got spike_grad={spike_grad!r}; give a function, for example snntorch.surrogate.atan()"
        )
    if not 0 < threshold_scale < float("inf"):
        raise SpikingError(
            f"{owner} got threshold_scale={threshold_scale}; it must be positive and finite, above 1 for fewer spikes"
        )
