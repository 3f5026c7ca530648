"""The trials of a fault model as columns, and what became of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import final

import numpy as np
import numpy.typing as npt

from clipact.errors import CampaignError
from clipact.faults import FaultModel, Result

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


class Outcome(Enum):
    """What became of a trial, the worst first."""

    FAILED = "failed: the evaluation raised"
    DUE = "DUE: an output with NaN or Inf"
    SDC = "SDC: a prediction changed"
    CHANGED = "another metric changed"
    MASKED = "masked: every metric golden"


@final
@dataclass(frozen=True)
class Trials:
    """The trials of one fault model, by number.

    Attributes:
        values: Of each metric, its value in every trial, shape ``(trials,)``; NaN where the trial failed.
        failed: Whether the evaluation raised.
        golden: Metrics of the fault-free run.
    """

    values: Mapping[str, Numbers]
    failed: Flags
    golden: Mapping[str, float]

    def __len__(self) -> int:
        return self.failed.size

    def changed(self, metric: str, tolerance: float = 0.0) -> Flags:
        """In which trials a metric is off its golden value by more than the tolerance; not in those that failed."""
        return differs(self.values[metric], self.golden[metric], tolerance) & ~self.failed

    def outcomes(self) -> dict[Outcome, int]:
        """How many trials ended in which outcome, each in the worst only; what was not measured is left out."""
        nothing = np.zeros(len(self), dtype=np.bool_)
        every = [self.changed(metric) for metric in self.values]
        found = {
            Outcome.FAILED: self.failed,
            Outcome.DUE: self.changed("due") if "due" in self.values else nothing,
            Outcome.SDC: self.changed("sdc") if "sdc" in self.values else nothing,
            Outcome.CHANGED: np.logical_or.reduce([nothing, *every]),
        }
        left, counts = ~nothing, dict[Outcome, int]()
        for outcome, hit in found.items():
            counts[outcome] = int(np.count_nonzero(hit & left))
            left &= ~hit
        measured = {Outcome.DUE: "due" in self.values, Outcome.SDC: "sdc" in self.values}
        shown = {o: n for o, n in counts.items() if measured.get(o, n > 0)}
        return shown | {Outcome.MASKED: int(np.count_nonzero(left))}


def differs(values: Numbers, golden: float, tolerance: float) -> Flags:
    """Which values are farther from the golden one than the tolerance; NaN differs from every number, but not from NaN."""
    if np.isnan(golden):
        return ~np.isnan(values)
    with np.errstate(invalid="ignore"):  # inf - inf
        near = (values == golden) | (np.abs(values - golden) <= tolerance)
    return ~near


def trials_of(result: Result, fault: FaultModel | None = None) -> Trials:
    """The trials of a fault model, or of all one after the other."""
    rows = slice(None) if fault is None else result.rows(fault)
    values = {metric: result.values(metric, fault) for metric in result.golden}
    return Trials(values, result.columns.failed[rows], result.golden)


def check_metric(result: Result, metric: str) -> None:
    """Refuse a metric that was not measured.

    Raises:
        CampaignError: There is no such metric.
    """
    if metric not in result.golden:
        raise CampaignError(
            f"the campaign has no metric {metric!r}; it has {', '.join(result.golden)}"
        )


def event(metric: str, tolerance: float = 0.0) -> str:
    """What it means in words that a metric is off its golden value.

    Examples:
        >>> event("sdc")
        'a changed prediction (SDC)'
        >>> event("accuracy", 0.01)
        'accuracy off by more than 0.01'
    """
    if tolerance:
        return f"{metric} off by more than {tolerance:g}"
    known = {
        "sdc": "a changed prediction (SDC)",
        "due": "NaN or Inf in an output (DUE)",
        "critical": "a critical SDC",
        "tolerable": "a tolerable SDC",
    }
    return known.get(metric, f"another {metric}")
