"""What an inference costs, as a table."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from torch import nn

from clipact._frame import data_frame
from clipact._text import aligned
from clipact.spiking._energy._costs import EnergyCosts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EnergyReport", "LayerEnergy"]


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
        return data_frame(self.to_dict()["layers"])

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
