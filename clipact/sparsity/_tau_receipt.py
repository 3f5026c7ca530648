"""What a calibration of thresholds has set, and the way back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from clipact._frame import data_frame
from clipact._text import aligned
from clipact.sparsity._granules import Thresholded

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CalibratedTau", "TauReceipt"]


@final
@dataclass(frozen=True)
class CalibratedTau:
    """One activation.

    Attributes:
        name: Its path.
        kind: Its class.
        tau_before: Its mean threshold before.
        tau: Its mean threshold now.
        sparsity_before: Share of zeros before, over the same data.
        sparsity: Share of zeros now.
        values: How many values that is of.
    """

    name: str
    kind: type[nn.Module]
    tau_before: float
    tau: float
    sparsity_before: float
    sparsity: float
    values: int


@final
class TauReceipt:
    """What :func:`calibrate_tau` returns: print it, or take the change back.

    Attributes:
        rows: One an activation, in the model's order.
        passes: How often the data was read.
    """

    def __init__(
        self,
        rows: tuple[CalibratedTau, ...],
        passes: int,
        before: Mapping[str, Tensor],
        modules: Mapping[str, Thresholded],
    ) -> None:
        self.rows, self.passes = rows, passes
        self._before, self._modules = dict(before), dict(modules)

    @property
    def sparsity(self) -> float:
        """Share of zeros over all values of all activations."""
        zeros = sum(row.sparsity * row.values for row in self.rows)
        return zeros / sum(row.values for row in self.rows)

    def restore(self) -> None:
        """Set every ``tau`` to its values of before, bit for bit."""
        put(self._modules, self._before)

    def __str__(self) -> str:
        header = ["activation", "kind", "tau before", "tau", "zero before", "zero"]
        cells = [
            [
                row.name or "(model)",
                row.kind.__name__,
                f"{row.tau_before:.4g}",
                f"{row.tau:.4g}",
                f"{100 * row.sparsity_before:.1f} %",
                f"{100 * row.sparsity:.1f} %",
            ]
            for row in self.rows
        ]
        zeros = sum(row.sparsity_before * row.values for row in self.rows)
        share = zeros / sum(row.values for row in self.rows)
        cells.append(["all", "", "", "", f"{100 * share:.1f} %", f"{100 * self.sparsity:.1f} %"])
        return aligned(header, cells)

    def to_pandas(self) -> "pd.DataFrame":
        """One row an activation.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return data_frame([asdict(row) | {"kind": row.kind.__name__} for row in self.rows])


def put(modules: Mapping[str, Thresholded], thresholds: Mapping[str, Tensor]) -> None:
    """Set every ``tau``."""
    with torch.no_grad():
        for name, module in modules.items():
            module.tau.copy_(thresholds[name])
