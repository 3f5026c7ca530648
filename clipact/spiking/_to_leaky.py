"""Turn Hoyer spikes into neurons that snntorch knows."""

import copy
from typing import Any

import snntorch
import torch
from torch import nn

from clipact.errors import SpikingError
from clipact.nn import HoyerSpike
from clipact.surgery import Example, run_once, watch

__all__ = ["to_leaky"]


@torch.no_grad()
def to_leaky(model: nn.Module, *, example: Example | None = None) -> nn.Module:
    """A copy of a network whose spikes are plain ``snntorch.Leaky`` neurons: for snntorch's tools, and for one step.

    A Leaky without memory (``beta=0``) and without reset spikes where its input is above the threshold. Ours spikes where
    it is at the threshold too, so that of a Leaky is the next smaller number, and all spikes are the same.

    Args:
        model: The network, trained; it stays as it is. :func:`fold` it before, to have all thresholds at 1.
        example: As for :func:`clipact.find_sites`; needed where thresholds are by channel.

    Returns:
        The copy, in eval mode; its neurons give spikes alone (``init_hidden=True``).

    Raises:
        SpikingError: There is no Hoyer spike, or one of several levels, or an example is needed.

    Examples:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), HoyerSpike(), nn.Linear(8, 2)).eval()
        >>> leaky, x = to_leaky(net), torch.randn(16, 4)
        >>> type(leaky[2]).__name__, torch.equal(leaky(x), net(x))
        ('Leaky', True)
    """
    found = [(name, m) for name, m in model.named_modules() if isinstance(m, HoyerSpike)]
    if not found:
        raise SpikingError(
            f"to_leaky() of {type(model).__name__}: there is no HoyerSpike in it; convert it with to_spiking_() first"
        )
    several = [f"{name} (levels={spike.levels})" for name, spike in found if spike.levels > 1]
    if several:
        raise SpikingError(
            f"to_leaky() of {type(model).__name__}: {', '.join(several)} gives several levels, and a Leaky neuron gives one"
            " spike at most; train it with levels=1"
        )
    dims = {} if example is None else _dims(model, example)
    leaky = copy.deepcopy(nn.Sequential(model)).eval()  # a network may be a single spike
    for name, spike in found:
        owner, _, own = f"0.{name}".rstrip(".").rpartition(".")
        setattr(leaky.get_submodule(owner), own, _leaky(name, spike, dims.get(name)))
    return leaky[0]


def _dims(model: nn.Module, example: Example) -> dict[str, int]:
    """How many dimensions the input of each spike has."""
    dims: dict[str, int] = {}
    with watch(model, (HoyerSpike,), lambda name, _kind, value: dims.update({name: value.dim()})):
        run_once(model, example)
    return dims


def _leaky(name: str, spike: HoyerSpike, dims: int | None) -> snntorch.Leaky:
    threshold = spike.effective_threshold
    if spike.num_features is not None and threshold.dim() == 1 and threshold.numel() > 1:
        if dims is None:
            raise SpikingError(
                f"to_leaky(): {name!r} has a threshold for each channel; give example= to say where they are, or fold() the"
                " network first"
            )
        axis = spike.channel_dim % dims
        threshold = threshold.reshape(-1, *[1] * (dims - 1 - axis))
    below = torch.nextafter(threshold, threshold.new_tensor(-float("inf")))
    leaky: Any = snntorch.Leaky  # its annotations say float where it takes tensors, too
    return leaky(beta=0.0, threshold=below, reset_mechanism="none", init_hidden=True).eval()
