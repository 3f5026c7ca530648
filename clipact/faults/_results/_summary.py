"""Means over trials, with intervals."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, final, runtime_checkable

from clipact._text import aligned
from clipact.faults._models import FaultModel
from clipact.faults._numbers._statistics import Interval
from clipact.faults._results._kept import Integers, Numbers
from clipact.faults._results._means import DISTINCT

EVENTS: Final = ("sdc", "due")
"""Rates of bad events: beside their mean, the share of trials with any is of interest."""

_FEW = 10


@runtime_checkable
class Estimator(Protocol):
    """Makes an estimate of trials that do not all count alike, because they were not drawn uniformly.

    Implementations are frozen dataclasses that inherit from this class and hold plain values and tuples, so that a
    store can keep them.
    """

    def estimate(self, trials: Integers, values: Numbers, confidence: float) -> Interval:
        """The mean over all faults there are.

        Args:
            trials: Numbers of the trials, rising, shape ``(trials,)``; at least one.
            values: Finite, one a trial.
            confidence: Of the interval, between 0 and 1.
        """
        ...

    def of_campaign(self, trials: int) -> "Estimator":
        """The same for a campaign of so many trials; its weights may depend on that, its identity must not."""
        del trials
        return self


@final
@dataclass(frozen=True)
class SummaryRow:
    """One fault model.

    Attributes:
        fault: The fault model.
        trials: Number of trials that were evaluated.
        flips: Mean number of bits changed in one of them.
        means: Mean over them of each metric, with an interval.
        not_finite: Of each metric, in how many it was ±inf or NaN; its mean and interval are NaN then.
        any_trial: Share of them in which ``sdc`` or ``due`` is above 0, with an interval.
        failed: Number of further trials, whose evaluation raised.
        error: The last line of the first of their tracebacks; empty if there is none.
        weighted: Whether an :class:`Estimator` made the means and shares.
    """

    fault: FaultModel
    trials: int
    flips: float
    means: Mapping[str, Interval]
    not_finite: Mapping[str, int]
    any_trial: Mapping[str, Interval]
    failed: int = 0
    error: str = ""
    weighted: bool = False


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
        events = [name for name in EVENTS if name in self.golden]
        header = ["fault", "trials", "flips", *self.golden, *(f"trials with {e}" for e in events)]
        golden = ["golden", "", "", *(f"{value:.4f}" for value in self.golden.values())]
        cells = [golden + [""] * len(events)]
        for row in self.rows:
            shown = [_show_mean(row, m) for m in self.golden]
            shown += [_show(row.any_trial[e]) for e in events]
            cells.append([str(row.fault), str(row.trials), f"{row.flips:.1f}", *shown])
        notes = _notes(self.rows, f"{100 * self.confidence:g} %", bool(events))
        table = aligned(header, cells)
        return "\n".join(
            [self.description, table, *notes, *_failures(self.rows), *_warnings(self.rows)]
        )


def _notes(rows: Iterable[SummaryRow], percent: str, events: bool) -> list[str]:  # noqa: FBT001 - whether there are any
    """Which interval is which."""
    found: list[str] = []
    if plain := [row for row in rows if not row.weighted]:
        many = any(row.trials > DISTINCT for row in plain)
        normal = f" (normal where more than {DISTINCT:,} values differ)" if many else ""
        found.append(f"[low, high] of a mean: {percent} percentile bootstrap over trials{normal}.")
        if events:
            found.append(
                f"Of 'trials with …' (share of trials with at least one such sample): {percent} Wilson."
            )
    if any(row.weighted for row in rows):
        found.append(f"Trials weighted as they were sampled: {percent} intervals of that estimate.")
    if any(row.weighted and row.trials and _is_unknown(row) for row in rows):
        found.append(
            "nan: some strata have no trial yet, so that nothing is known of their faults."
        )
    return found


def _failures(rows: Iterable[SummaryRow]) -> list[str]:
    return [
        f"{row.failed} of {row.failed + row.trials} trials of {row.fault} failed and are left out; the first with {row.error}"
        for row in rows
        if row.failed
    ]


def _warnings(rows: Iterable[SummaryRow]) -> list[str]:
    """What the intervals do not say."""
    if few := [row.trials for row in rows if row.trials < _FEW]:
        return [f"{min(few)} trials, fewer than {_FEW}: intervals are too narrow."]
    plain = [row for row in rows if not row.weighted]
    flat = [row.trials for row in plain if any(i.low == i.high for i in row.means.values())]
    if not flat:
        return []
    n = min(flat)
    return [
        f"[x, x]: all {n} trials gave the same value: an effect in fewer than about 3/{n} of trials would not show."
    ]


def _is_unknown(row: SummaryRow) -> bool:
    """Whether there is no estimate though all values are finite."""
    return any(math.isnan(i.estimate) and not row.not_finite[m] for m, i in row.means.items())


def _show_mean(row: SummaryRow, metric: str) -> str:
    if broken := row.not_finite[metric]:
        return f"{broken} of {row.trials} trials not finite"
    return _show(row.means[metric])


def _show(interval: Interval) -> str:
    return f"{interval.estimate:.4f} [{interval.low:.4f}, {interval.high:.4f}]"
