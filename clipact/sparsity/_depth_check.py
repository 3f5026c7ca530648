"""Variance and sparsity by depth, beside what the theory says, as a table."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, final

from torch import nn

from clipact._frame import data_frame
from clipact._text import aligned

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CheckedSite", "DepthCheck"]


@final
@dataclass(frozen=True)
class CheckedSite:
    """One activation.

    Attributes:
        name: The site.
        kind: Its class.
        q: Mean square of what goes into it.
        expected_q: What the theory says of it; NaN where it says nothing.
        sparsity: Share of its outputs that are exactly zero.
        expected_sparsity: What the theory says of it; NaN where it says nothing.
        not_finite: How many of its outputs are NaN or infinite.
    """

    name: str
    kind: type[nn.Module]
    q: float
    expected_q: float
    sparsity: float
    expected_sparsity: float
    not_finite: int


@final
@dataclass(frozen=True)
class DepthCheck:
    """What :func:`check_` has found: print it, or draw it with :func:`clipact.report.depth_profile`.

    Attributes:
        rows: One a site, in execution order.
    """

    rows: tuple[CheckedSite, ...]

    @property
    def q_deviation(self) -> float:
        """The largest relative distance of a variance from the expected one; infinity if one is not finite."""
        found = [
            abs(row.q / row.expected_q - 1.0) if math.isfinite(row.q) else math.inf
            for row in self.rows
            if row.expected_q > 0.0
        ]
        return max(found, default=math.nan)

    @property
    def sparsity_deviation(self) -> float:
        """The largest distance of a sparsity from the expected one."""
        found = [abs(row.sparsity - row.expected_sparsity) for row in self.rows]
        return max((each for each in found if not math.isnan(each)), default=math.nan)

    def __iter__(self) -> Iterator[CheckedSite]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        header = ["site", "kind", "q", "theory", "sparsity", "theory"]
        cells = [
            [
                row.name or "(model)",
                row.kind.__name__,
                f"{row.q:.4g}",
                "" if math.isnan(row.expected_q) else f"{row.expected_q:.4g}",
                f"{row.sparsity:.3f}",
                "" if math.isnan(row.expected_sparsity) else f"{row.expected_sparsity:.3f}",
            ]
            for row in self.rows
        ]
        lost = [row for row in self.rows if row.not_finite]
        notes = (
            [f"NaN or infinite at {len(lost)} sites, the first {lost[0].name!r}"] if lost else []
        )
        return "\n".join([aligned(header, cells), *notes])

    def to_pandas(self) -> "pd.DataFrame":
        """One row a site.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return data_frame([asdict(row) | {"kind": row.kind.__name__} for row in self.rows])
