"""What an inference costs, as a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from torch import Tensor, nn

from clipact._text import aligned
from clipact.errors import MissingExtraError, SpikingError
from clipact.spiking._costs import FP32, EnergyCosts
from clipact.spiking._synapses import Synapses, counting
from clipact.surgery import Example, evaluating, run_once
from clipact.surgery._buffers import kept_buffers

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EnergyReport", "LayerEnergy", "energy_report"]


@final
@dataclass(frozen=True)
class LayerEnergy:
    """A layer's share, for one sample.

    Attributes:
        name: Of the layer.
        kind: Its class.
        dense: Multiply-accumulates if no input were zero.
        macs: Multiply-accumulates of non-zero inputs, where inputs had more than two values.
        acs: Accumulates of non-zero inputs, where inputs were zero or one other value.
        rate: Share of its inputs that were not zero.
        compute: Energy of ``macs`` and ``acs``, in pJ.
        memory: Energy to read inputs and weights and to write outputs once, in pJ.
        relu: Energy of ``dense`` multiply-accumulates, in pJ: of the same layer behind a ReLU whose zeros nobody skips.
        relu_memory: The same as ``memory``, with every input in full width.
    """

    name: str
    kind: type[nn.Module]
    dense: float
    macs: float
    acs: float
    rate: float
    compute: float
    memory: float
    relu: float
    relu_memory: float


@final
@dataclass(frozen=True)
class EnergyReport:
    """Energy of an inference of one sample: print it, or read its layers.

    Attributes:
        layers: In execution order.
        costs: Of an operation.
        relu_macs: Non-zero multiply-accumulates of the network it was held against; None if there was none.
    """

    layers: tuple[LayerEnergy, ...]
    costs: EnergyCosts
    relu_macs: float | None = None

    def total(self) -> LayerEnergy:
        """All layers together; ``rate`` is the share of the dense operations that were done."""
        names = ("dense", "macs", "acs", "compute", "memory", "relu", "relu_memory")
        sums = {name: float(sum(getattr(layer, name) for layer in self.layers)) for name in names}
        rate = (sums["macs"] + sums["acs"]) / sums["dense"] if sums["dense"] else 0.0
        return LayerEnergy("all", nn.Module, rate=rate, **sums)

    @property
    def ratio(self) -> float:
        """How many times as much energy the same layers take behind ReLUs, computation only."""
        total = self.total()
        return total.relu / total.compute if total.compute else float("inf")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON: totals, and one row a layer."""
        rows = [vars(layer) | {"kind": layer.kind.__name__} for layer in self.layers]
        total = {k: v for k, v in vars(self.total()).items() if k not in {"name", "kind"}}
        return {
            "costs": vars(self.costs),
            "total": total,
            "ratio": self.ratio,
            "relu_macs": self.relu_macs,
            "layers": rows,
        }

    def to_pandas(self) -> "pd.DataFrame":
        """One row a layer.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: PLC0415 - optional
        except ImportError:
            raise MissingExtraError(
                "to_pandas() needs pandas, which is not installed: pip install 'clipact[pandas]'"
            ) from None
        return pd.DataFrame(self.to_dict()["layers"])

    def __str__(self) -> str:
        header = ["layer", "dense", "MAC", "AC", "input not zero", "nJ", "nJ with ReLU"]
        rows = [_cells(layer) for layer in self.layers]
        total = self.total()
        lines = [
            aligned(header, [*rows, [*_cells(total)[:4], "", *_cells(total)[5:]]]),
            f"one sample, compute only, {self.costs.name}: {_nano(total.compute)} nJ, with ReLU and no zero skipped"
            f" {_nano(total.relu)} nJ ({self.ratio:.1f} times as much)",
            f"memory, each value moved once: {_nano(total.memory)} nJ, with ReLU {_nano(total.relu_memory)} nJ",
        ]
        if self.relu_macs is not None:
            skipped = self.relu_macs * self.costs.mac
            lines.append(
                f"the network it is held against, zeros skipped: {_nano(skipped)} nJ, compute only"
            )
        return "\n".join(lines)


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


def _cells(layer: LayerEnergy) -> list[str]:
    return [
        layer.name,
        f"{layer.dense:,.0f}",
        f"{layer.macs:,.0f}",
        f"{layer.acs:,.0f}",
        f"{layer.rate:.1%}",
        _nano(layer.compute),
        _nano(layer.relu),
    ]


def _nano(pico: float) -> str:
    return f"{pico / 1e3:,.1f}"
