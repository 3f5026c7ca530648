"""Run a network once and say what that costs."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from clipact.errors import SpikingError
from clipact.spiking._energy._costs import FP32, EnergyCosts
from clipact.spiking._energy._report import EnergyReport, LayerEnergy
from clipact.spiking._energy._synapses import Synapses, counting
from clipact.surgery import Example, evaluating, run_once
from clipact.surgery._buffers import kept_buffers

__all__ = ["energy_report"]


def energy_report(
    model: nn.Module,
    x: Example,
    *,
    costs: EnergyCosts = FP32,
    unary: bool = False,
    against: nn.Module | None = None,
    run: Callable[[nn.Module], object] | None = None,
) -> EnergyReport:
    """Exact synaptic operations of an inference, and what they cost.

    Every non-zero input of a Linear or (transposed) convolution layer costs one operation for each weight that it meets:
    borders, strides, dilation and groups are counted as they are. That is an accumulate where all inputs of the layer are
    zero or one other value, and a multiply-accumulate otherwise: the first layer's, and what comes out of average pools
    or sums. Any network will do, of snntorch too; several time steps add up.

    Not counted: biases, normalisation (it folds into weights), thresholds and membranes, and matrix products that are
    no layer, such as those of attention. The memory line moves each input, weight and output once, at full width but for
    one bit where there are two values; real machines have caches, and move more.

    Args:
        model: The network; it runs in eval mode without gradients and stays as it is.
        x: Example inputs, as for :func:`clipact.find_sites`; the first axis counts samples.
        costs: :data:`FP32`, :data:`FP16`, :data:`INT8`, or your own.
        unary: Take inputs of a few equal steps, as ``HoyerSpike(levels=4)`` gives, for so many spikes, each of which
            costs an accumulate.
        against: The same network with ReLUs, to count what it would do if it skipped zeros.
        run: Runs the network, where that is not ``model(x)``: all time steps, for instance.

    Returns:
        The report, for one sample.

    Raises:
        SpikingError: No layer that can be counted has run.

    References:
        Horowitz, "1.1 Computing's energy problem (and what we can do about it)", ISSCC 2014 (energies at 45 nm).

    Examples:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> report = energy_report(net, torch.ones(1, 2))
        >>> report.layers[0].acs, report.layers[0].dense
        (16.0, 16.0)
    """
    samples = _samples(x)
    found = _counted(model, x, unary=unary, run=run)
    relu_macs = None
    if against is not None:
        other = _counted(against, x, unary=False, run=run)
        relu_macs = sum(seen.macs + seen.acs for seen in other.values()) / samples
    layers = tuple(_layer(seen, samples, costs) for seen in found.values())
    return EnergyReport(layers, costs, relu_macs)


def _counted(
    model: nn.Module, x: Example, *, unary: bool, run: Callable[[nn.Module], object] | None
) -> Mapping[str, Synapses]:
    with counting(model, unary=unary) as found:
        if run is None:
            run_once(model, x)
        else:
            with evaluating(model), kept_buffers(model):
                run(model)
    if not found:
        raise SpikingError(
            f"energy_report() of {type(model).__name__}: no Linear or convolution layer has run; functional calls of them"
            " are not seen, so make them modules"
        )
    return found


def _layer(seen: Synapses, samples: int, costs: EnergyCosts) -> LayerEnergy:
    width = costs.bits / 8
    fixed = (seen.weights * samples + seen.outputs) * width
    spikes = seen.binary_inputs / 8 + (seen.inputs - seen.binary_inputs) * width
    return LayerEnergy(
        seen.name,
        seen.kind,
        dense=seen.dense / samples,
        macs=seen.macs / samples,
        acs=seen.acs / samples,
        rate=seen.nonzero / max(seen.inputs, 1),
        compute=(seen.macs * costs.mac + seen.acs * costs.ac) / samples,
        memory=(fixed + spikes) * costs.byte / samples,
        relu=seen.dense * costs.mac / samples,
        relu_memory=(fixed + seen.inputs * width) * costs.byte / samples,
    )


def _samples(x: Example) -> int:
    several = isinstance(x, tuple | list | Mapping)  # pyright: ignore[reportUnnecessaryIsInstance] - callers may not check types
    leaves = list(x.values() if isinstance(x, Mapping) else x) if several else [x]
    first = next((leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.dim()), None)
    if first is None or not len(first):
        raise SpikingError(
            "energy_report() got no samples; give a tensor whose first axis counts them, with at least one"
        )
    return len(first)
