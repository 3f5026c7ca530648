"""What a meter of spikes has counted, as a table."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, final

from torch import nn

from clipact._frame import data_frame
from clipact._text import aligned

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LayerSpikes", "SpikeTable"]


@final
@dataclass(frozen=True)
class LayerSpikes:
    """Counts of one layer.

    Attributes:
        name: Its name.
        kind: Its class.
        neurons: How many it has.
        steps: How often it runs in an inference: its time steps.
        spikes: How many were seen.
        values: How many values, spikes or silence, were seen.
        channels: How many channels it has.
        dead: How many of them never spiked.
        always_on: How many of them spiked everywhere, always.
    """

    name: str
    kind: type[nn.Module]
    neurons: int
    steps: int
    spikes: float
    values: int
    channels: int
    dead: int
    always_on: int

    @property
    def rate(self) -> float:
        """Spikes a neuron sends in an inference, all time steps and levels together."""
        return self.spikes * self.steps / self.values if self.values else float("nan")


@final
@dataclass(frozen=True)
class SpikeTable:
    """Spikes by layer: print it, iterate over its rows, look up a layer by name.

    Attributes:
        rows: One a layer, in execution order.
    """

    rows: tuple[LayerSpikes, ...]

    @property
    def rate(self) -> float:
        """Spikes a neuron sends in an inference, over the neurons of all layers together."""
        neurons = sum(row.neurons for row in self.rows)
        return (
            sum(row.rate * row.neurons for row in self.rows) / neurons if neurons else float("nan")
        )

    def __getitem__(self, name: str) -> LayerSpikes:
        """The row of a layer.

        Raises:
            KeyError: It was not seen.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(
            f"no spiking layer {name!r} was seen; there is {', '.join(r.name for r in self.rows) or 'none'}"
        )

    def __iter__(self) -> Iterator[LayerSpikes]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        if not self.rows:
            return "no spiking layer has run yet"
        header = ["layer", "kind", "neurons", "spikes a neuron", "channels", "dead", "always on"]
        cells = [
            [
                row.name or "(model)",
                row.kind.__name__,
                f"{row.neurons:,}",
                f"{row.rate:.1%}".replace("%", " %"),
                *map(str, (row.channels, row.dead, row.always_on)),
            ]
            for row in self.rows
        ]
        sums = [
            str(sum(getattr(row, key) for row in self.rows))
            for key in ("channels", "dead", "always_on")
        ]
        neurons = sum(row.neurons for row in self.rows)
        cells.append(["all", "", f"{neurons:,}", f"{self.rate:.1%}".replace("%", " %"), *sums])
        return aligned(header, cells)

    def to_pandas(self) -> "pd.DataFrame":
        """One row a layer, with its rate.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return data_frame(
            [asdict(row) | {"kind": row.kind.__name__, "rate": row.rate} for row in self.rows]
        )
