"""Means over trials, with intervals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from clipact._text import aligned
from clipact.faults._models import FaultModel
from clipact.faults._statistics import Interval, bootstrap_mean, wilson

if TYPE_CHECKING:
    from clipact.faults._result import Result

# Rates of bad events: beside their mean, the share of trials with any is of interest.
_EVENTS = ("sdc", "due")
_FEW = 10


@final
@dataclass(frozen=True)
class SummaryRow:
    """One fault model.

    Attributes:
        fault: The fault model.
        trials: Number of trials.
        flips: Mean number of bits changed in a trial.
        means: Mean over trials of each metric, with a bootstrap interval over trials.
        not_finite: Of each metric, in how many trials it was ±inf or NaN; its mean and interval are NaN then.
        any_trial: Share of trials in which ``sdc`` or ``due`` is above 0, with a Wilson interval.
    """

    fault: FaultModel
    trials: int
    flips: float
    means: Mapping[str, Interval]
    not_finite: Mapping[str, int]
    any_trial: Mapping[str, Interval]


@final
@dataclass(frozen=True)
class Summary:
    """A table of a campaign: print it, or read its rows.

    Attributes:
        rows: One a fault model.
        golden: Metrics of the fault-free run.
        confidence: Of all intervals.
        description: Target, number format and population, in words.
    """

    rows: tuple[SummaryRow, ...]
    golden: Mapping[str, float]
    confidence: float
    description: str

    def __str__(self) -> str:
        events = [name for name in _EVENTS if name in self.golden]
        header = ["fault", "trials", "flips", *self.golden, *(f"trials with {e}" for e in events)]
        golden = ["golden", "", "", *(f"{value:.4f}" for value in self.golden.values())]
        cells = [golden + [""] * len(events)]
        for row in self.rows:
            shown = [_show_mean(row, m) for m in self.golden]
            shown += [_show(row.any_trial[e]) for e in events]
            cells.append([str(row.fault), str(row.trials), f"{row.flips:.1f}", *shown])
        percent = f"{100 * self.confidence:g} %"
        notes = f"[low, high] of a mean: {percent} percentile bootstrap over trials."
        if events:
            notes += f"\nOf 'trials with …' (share of trials with at least one such sample): {percent} Wilson."
        return "\n".join([self.description, aligned(header, cells), notes, *_warnings(self.rows)])


def summarise(result: "Result", confidence: float) -> Summary:
    """See :meth:`Result.summary`."""
    rows = tuple(_row(result, fault, confidence) for fault in result.faults)
    return Summary(rows, result.golden, confidence, result.description)


def _row(result: "Result", fault: FaultModel, confidence: float) -> SummaryRow:
    values = {metric: result.values(metric, fault) for metric in result.golden}
    flips = [t.flips for t in result.trials if t.fault == fault]
    any_trial: dict[str, Interval] = {}
    for event in _EVENTS:
        if event in values:
            hits = int(np.count_nonzero(values[event] > 0))
            any_trial[event] = Interval(hits / len(flips), *wilson(hits, len(flips), confidence))
    means = {metric: bootstrap_mean(found, confidence) for metric, found in values.items()}
    broken = {m: int(np.count_nonzero(~np.isfinite(found))) for m, found in values.items()}
    return SummaryRow(fault, len(flips), float(np.mean(flips)), means, broken, any_trial)


def _warnings(rows: Iterable[SummaryRow]) -> list[str]:
    """What the intervals do not say."""
    if few := [row.trials for row in rows if row.trials < _FEW]:
        return [f"{min(few)} trials, fewer than {_FEW}: intervals are too narrow."]
    flat = [row.trials for row in rows if any(i.low == i.high for i in row.means.values())]
    if not flat:
        return []
    n = min(flat)
    return [
        f"[x, x]: all {n} trials gave the same value: an effect in fewer than about 3/{n} of trials would not show."
    ]


def _show_mean(row: SummaryRow, metric: str) -> str:
    if broken := row.not_finite[metric]:
        return f"{broken} of {row.trials} trials not finite"
    return _show(row.means[metric])


def _show(interval: Interval) -> str:
    return f"{interval.estimate:.4f} [{interval.low:.4f}, {interval.high:.4f}]"
