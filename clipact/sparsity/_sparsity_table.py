"""What a meter has counted, as a table."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, final

from torch import nn

from clipact._frame import data_frame
from clipact._text import aligned

if TYPE_CHECKING:
    import pandas as pd


@final
@dataclass(frozen=True)
class SiteSparsity:
    """Counts at one site.

    Attributes:
        name: The site.
        kind: The module class of its activation.
        values: How many outputs were seen.
        zeros: How many of them were exactly zero.
        not_finite: How many of them were NaN or infinite.
        gradient_values: How many gradients were seen; 0 without a backward pass.
        gradient_zeros: How many of them were exactly zero.
        units: How many channels (or neurons) the site has.
        dead: How many of them were zero whenever they were seen.
        always_on: How many of them never were.
    """

    name: str
    kind: type[nn.Module]
    values: int
    zeros: int
    not_finite: int
    gradient_values: int
    gradient_zeros: int
    units: int
    dead: int
    always_on: int

    @property
    def sparsity(self) -> float:
        """Share of outputs that were exactly zero."""
        return _share(self.zeros, self.values)

    @property
    def gradient_sparsity(self) -> float:
        """Share of gradients, with respect to the activation's input, that were exactly zero; NaN if there were none."""
        return _share(self.gradient_zeros, self.gradient_values)


@final
@dataclass(frozen=True)
class SparsityTable:
    """Sparsity by site: print it, iterate over its rows, look up a site by name.

    Attributes:
        rows: One a site, in execution order.
    """

    rows: tuple[SiteSparsity, ...]

    @property
    def sparsity(self) -> float:
        """Share of zeros among the outputs of all sites."""
        return _share(sum(row.zeros for row in self.rows), sum(row.values for row in self.rows))

    @property
    def gradient_sparsity(self) -> float:
        """Share of zeros among the gradients of all sites; NaN if there were none."""
        zeros = sum(row.gradient_zeros for row in self.rows)
        return _share(zeros, sum(row.gradient_values for row in self.rows))

    def __getitem__(self, name: str) -> SiteSparsity:
        """The row of a site.

        Raises:
            KeyError: It was not seen.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(
            f"no site {name!r} was seen; there is {', '.join(r.name for r in self.rows)}"
        )

    def __iter__(self) -> Iterator[SiteSparsity]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        if not self.rows:
            return "no site has run yet"
        header = ["site", "kind", "values", "zero", "gradient zero", "units", "dead", "always on"]
        cells = [_cells(row) for row in self.rows]
        every = [f"{sum(row.values for row in self.rows):,}", _percent(self.sparsity)]
        sums = [
            sum(getattr(row, key) for row in self.rows) for key in ("units", "dead", "always_on")
        ]
        cells.append(["all", "", *every, _percent(self.gradient_sparsity), *map(str, sums)])
        lost = [row for row in self.rows if row.not_finite]
        notes = [f"{row.name}: {row.not_finite:,} values are NaN or infinite" for row in lost]
        return "\n".join([aligned(header, cells), *notes])

    def to_pandas(self) -> "pd.DataFrame":
        """One row a site, with the shares beside the counts.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        rows = [
            asdict(row)
            | {
                "kind": row.kind.__name__,
                "sparsity": row.sparsity,
                "gradient_sparsity": row.gradient_sparsity,
            }
            for row in self.rows
        ]
        return data_frame(rows)


def _cells(row: SiteSparsity) -> list[str]:
    shares = [_percent(row.sparsity), _percent(row.gradient_sparsity)]
    units = [str(row.units), str(row.dead), str(row.always_on)]
    return [row.name or "(model)", row.kind.__name__, f"{row.values:,}", *shares, *units]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.1f} %"
