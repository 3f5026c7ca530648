"""Multiply-accumulates by layer, as a table."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from torch import nn

from clipact._frame import data_frame
from clipact._text import aligned

if TYPE_CHECKING:
    import pandas as pd


@final
@dataclass(frozen=True)
class LayerFlops:
    """Multiply-accumulates of one layer, all its calls and the whole batch together.

    Attributes:
        name: Path of the layer.
        kind: Its class.
        calls: How often one forward calls it.
        dense: Multiply-accumulates with zeros, those with padding too.
        effective: Those whose input is not zero.
    """

    name: str
    kind: type[nn.Module]
    calls: int
    dense: int
    effective: int

    @property
    def density(self) -> float:
        """Share of the dense multiply-accumulates that are effective; NaN of none."""
        return _share(self.effective, self.dense)


@final
@dataclass(frozen=True)
class Flops:
    """Multiply-accumulates of a model: print it, iterate over its rows, look up a layer by name.

    Attributes:
        rows: One a layer, in execution order.
        elsewhere: Multiply-accumulates outside these layers (attention, functional calls), zeros included: which of
            their inputs were zero is not known. In none of the sums here.
        uncounted: What torch cannot count either, one sentence each.
    """

    rows: tuple[LayerFlops, ...]
    elsewhere: int
    uncounted: tuple[str, ...]

    @property
    def dense(self) -> int:
        """Multiply-accumulates of all layers, with zeros."""
        return sum(row.dense for row in self.rows)

    @property
    def effective(self) -> int:
        """Those of all layers whose input is not zero."""
        return sum(row.effective for row in self.rows)

    @property
    def density(self) -> float:
        """Share of the dense multiply-accumulates that are effective; NaN of none."""
        return _share(self.effective, self.dense)

    def __getitem__(self, name: str) -> LayerFlops:
        """The row of a layer.

        Raises:
            KeyError: It was not counted.
        """
        for row in self.rows:
            if row.name == name:
                return row
        known = ", ".join(row.name for row in self.rows)
        raise KeyError(f"no layer {name!r} was counted; there is {known}")

    def __iter__(self) -> Iterator[LayerFlops]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        header = ["layer", "kind", "calls", "dense", "effective", "share"]
        cells = [
            [row.name or "(model)", row.kind.__name__, str(row.calls), *_numbers(row)]
            for row in self.rows
        ]
        cells.append(["all", "", str(sum(row.calls for row in self.rows)), *_numbers(self)])
        notes = list(self.uncounted)
        if self.elsewhere:
            notes.insert(0, f"{self.elsewhere:,} more outside these layers, zeros included")
        return "\n".join([aligned(header, cells), *notes])

    def to_pandas(self) -> "pd.DataFrame":
        """One row a layer.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return data_frame(
            {
                "layer": [row.name for row in self.rows],
                "kind": [row.kind.__name__ for row in self.rows],
                "calls": [row.calls for row in self.rows],
                "dense": [row.dense for row in self.rows],
                "effective": [row.effective for row in self.rows],
                "density": [row.density for row in self.rows],
            }
        )


def _numbers(counted: LayerFlops | Flops) -> list[str]:
    share = f"{100 * counted.density:.1f} %" if counted.dense else ""
    return [f"{counted.dense:,}", f"{counted.effective:,}", share]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
