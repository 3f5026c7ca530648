"""Turn Hoyer spikes into neurons that snntorch knows."""

from contextlib import ExitStack
from typing import Any

import snntorch
import torch
from torch import Tensor, nn

from clipact.errors import SpikingError
from clipact.nn import HoyerSpike
from clipact.spiking._graph import copied
from clipact.spiking._place import threshold_over
from clipact.surgery import Example, run_once

__all__ = ["to_leaky"]


@torch.inference_mode(mode=False)
@torch.no_grad()
def to_leaky(model: nn.Module, *, example: Example | None = None) -> nn.Module:
    """A copy of a network whose spikes are plain ``snntorch.Leaky`` neurons: for snntorch's tools, and for one step.

    A Leaky without memory (``beta=0``) and without reset spikes where its input is above the threshold. Ours spikes where
    it is at the threshold too, so that of a Leaky is the next smaller number, and all spikes are the same. NaN and
    infinity stay in a Leaky, whatever its ``beta``, until ``snntorch.utils.reset``.

    Args:
        model: The network, trained; it stays as it is. :func:`fold` it before, to have all thresholds at 1.
        example: As for :func:`clipact.find_sites`; needed where thresholds are by channel.

    Returns:
        The copy, in eval mode; its neurons give spikes alone (``init_hidden=True``).

    Raises:
        SpikingError: There is no Hoyer spike, or one of several levels; an example is needed; the network is in another
            precision than single, which is that of snntorch's spikes; or it cannot be copied.

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
    other = {p.dtype for p in model.parameters() if p.is_floating_point()} - {torch.float32}
    if other:
        raise SpikingError(
            f"to_leaky() of {type(model).__name__}: it has parameters of {', '.join(map(str, other))}, and snntorch's neurons"
            " send spikes of torch.float32; convert it with model.float() first"
        )
    spikes = [spike for _, spike in found]
    dims = {} if example is None else _dims(model, example, spikes)
    neurons = {spike: _leaky(name, spike, dims.get(spike)) for name, spike in found}
    leaky: Any = nn.Sequential(copied(model, "to_leaky()"))  # a network may be a single spike
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, HoyerSpike):
            owner, _, own = f"0.{name}".rstrip(".").rpartition(".")
            setattr(leaky.get_submodule(owner), own, neurons[module])
    return leaky[0]


def _dims(model: nn.Module, example: Example, spikes: list[HoyerSpike]) -> dict[HoyerSpike, int]:
    """How many dimensions the input of each spike has."""
    dims: dict[HoyerSpike, int] = {}

    def note(spike: HoyerSpike, _inputs: object, output: Tensor) -> None:
        dims[spike] = output.dim()

    with ExitStack() as stack:
        for spike in spikes:
            stack.callback(spike.register_forward_hook(note).remove)
        run_once(model, example)
    return dims


def _leaky(name: str, spike: HoyerSpike, dims: int | None) -> snntorch.Leaky:
    by_channel = spike.running_extremum.numel() > 1
    if by_channel and dims is None:
        raise SpikingError(
            f"to_leaky(): {name!r} has a threshold for each channel; give example= to say where they are, or fold() the"
            " network first"
        )
    threshold = threshold_over(spike, dims or spike.v_threshold.dim() + 1)
    if threshold is None:
        raise SpikingError(
            f"to_leaky(): {name!r} does not take the example, whose value there has {dims} dimensions; give another"
        )
    threshold = threshold[0].squeeze() if threshold.numel() == 1 else threshold[0]
    below = torch.nextafter(threshold, threshold.new_tensor(-float("inf")))
    leaky: Any = snntorch.Leaky  # its annotations say float where it takes tensors, too
    return leaky(beta=0.0, threshold=below, reset_mechanism="none", init_hidden=True).eval()
