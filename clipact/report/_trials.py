"""The trials of a fault model as columns, and what became of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import final

import numpy as np

from clipact.errors import CampaignError
from clipact.faults import FaultModel, Interval, Result
from clipact.report._columns import Flags, Integers, Numbers
from clipact.report._weights import Estimator, share


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
        number: Their numbers, shape ``(trials,)`` as all that follow.
        values: Of each metric, its value in every trial; NaN where the trial failed.
        failed: Whether the evaluation raised.
        golden: Metrics of the fault-free run.
        estimator: Weighs the trials; None if they count alike.
    """

    number: Integers
    values: Mapping[str, Numbers]
    failed: Flags
    golden: Mapping[str, float]
    estimator: Estimator | None = None

    def __len__(self) -> int:
        return self.failed.size

    def changed(self, metric: str, tolerance: float = 0.0) -> Flags:
        """In which trials a metric is off its golden value by more than the tolerance; not in those that failed."""
        return differs(self.values[metric], self.golden[metric], tolerance) & ~self.failed

    def outcomes(self) -> dict[Outcome, Flags]:
        """Which trials ended in which outcome, each in the worst only; what was not measured is left out."""
        nothing = np.zeros(len(self), dtype=np.bool_)
        every = [self.changed(metric) for metric in self.values]
        found = {
            Outcome.FAILED: self.failed,
            Outcome.DUE: self.changed("due") if "due" in self.values else nothing,
            Outcome.SDC: self.changed("sdc") if "sdc" in self.values else nothing,
            Outcome.CHANGED: np.logical_or.reduce([nothing, *every]),
        }
        left, worst = ~nothing, dict[Outcome, Flags]()
        for outcome, hit in found.items():
            worst[outcome] = hit & left
            left &= ~hit
        measured = {Outcome.DUE: "due" in self.values, Outcome.SDC: "sdc" in self.values}
        shown = {o: hit for o, hit in worst.items() if measured.get(o, bool(hit.any()))}
        return shown | {Outcome.MASKED: left}

    def share(self, hit: Flags, confidence: float) -> Interval:
        """How often something happens, with its interval."""
        return share(self.estimator, self.number, hit, confidence)


def differs(values: Numbers, golden: float, tolerance: float) -> Flags:
    """Which values are farther from the golden one than the tolerance; NaN differs from every number, but not from NaN."""
    if np.isnan(golden):
        return ~np.isnan(values)
    with np.errstate(invalid="ignore"):  # inf - inf
        near = (values == golden) | (np.abs(values - golden) <= tolerance)
    return ~near


def trials_of(result: Result, fault: FaultModel) -> Trials:
    """The trials of a fault model."""
    rows = result.rows(fault)
    values = {metric: result.values(metric, fault) for metric in result.golden}
    columns = result.columns
    return Trials(
        columns.trial[rows],
        values,
        columns.failed[rows],
        result.golden,
        result.estimators.get(fault),
    )


def is_share(result: Result, metric: str) -> bool:
    """Whether a metric is between 0 and 1 in the golden run and all trials, and so is its mean."""
    values = result.values(metric)
    ends = (result.golden[metric], np.nanmin(values, initial=1.0), np.nanmax(values, initial=0.0))
    return all(0.0 <= end <= 1.0 for end in ends)


def within(found: Interval, share: bool) -> Interval:  # noqa: FBT001 - what is_share says
    """An interval whose ends are possible: those of a share are between 0 and 1, whatever formula they are from."""
    if not share:
        return found
    return Interval(found.estimate, max(0.0, found.low), min(1.0, found.high))


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
