"""Paired comparison of campaigns that met the same faults."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from clipact._text import aligned
from clipact.errors import CampaignError
from clipact.faults._models import FaultModel
from clipact.faults._numbers._statistics import Interval
from clipact.faults._results._means import estimated
from clipact.faults._results._pairs import Pairs, check_paired, pair
from clipact.faults._results._result import Result


@final
@dataclass(frozen=True)
class Difference:
    """One model against the baseline, under one fault model.

    Attributes:
        name: Of the model.
        fault: The fault model.
        mean: The model's mean of the metric over the pairs.
        difference: Mean over the pairs of model minus baseline, with its interval; NaN where a trial of either was not
            finite.
        pairs: Number of trials that both evaluated.
        failed: Number of further trials that both have, but the evaluation of one or both raised.
        alone: Number of trials that only one of them has.
    """

    name: str
    fault: FaultModel
    mean: float
    difference: Interval
    pairs: int
    failed: int = 0
    alone: int = 0


@final
@dataclass(frozen=True)
class Comparison:
    """A table of differences from a baseline: print it, or read its rows.

    Attributes:
        baseline: Name of the model that the others are compared with.
        metric: What is compared.
        confidence: Of the intervals.
        rows: By fault model, then by name; the baseline's own have difference 0.
        weighted: Whether the baseline's estimator weighed the pairs, because they were not sampled uniformly.
    """

    baseline: str
    metric: str
    confidence: float
    rows: tuple[Difference, ...]
    weighted: bool = False

    def __str__(self) -> str:
        header = ["fault", "model", self.metric, f"minus {self.baseline}"]
        cells: list[list[str]] = []
        for row in self.rows:
            d = row.difference
            shown = f"{d.estimate:+.4f} [{d.low:+.4f}, {d.high:+.4f}]"
            own = row.name == self.baseline
            cells.append([str(row.fault), row.name, f"{row.mean:.4f}", "" if own else shown])
        percent = f"{100 * self.confidence:g} %"
        how = f"{percent} percentile bootstrap over paired trials"
        if self.weighted:
            how = f"{percent} over paired trials, weighted as they were sampled"
        note = f"[low, high]: {how} (same faults in both)."
        return "\n".join([aligned(header, cells), note, *self._left_out()])

    def _left_out(self) -> Iterator[str]:
        for row in self.rows:
            about = f"of {row.name} and {self.baseline} under {row.fault} left out"
            if row.failed and row.name != self.baseline:
                yield f"{row.failed} of {row.failed + row.pairs} pairs {about}: an evaluation failed."
            if row.alone:
                yield f"{row.alone} trials {about}: only one of them has these."


def compare(
    results: Mapping[str, Result],
    *,
    baseline: str | None = None,
    metric: str = "accuracy",
    confidence: float = 0.95,
) -> Comparison:
    """Differences between models under the same faults, trial by trial.

    Because both models meet the same faults, a trial that is bad luck for one is bad luck for the other, and the
    difference is known much better than either mean. Trials that only one campaign has, or whose evaluation raised in
    either, are left out and counted. Models that did not meet the same faults, such as one whose thresholds are a
    target too, are refused: compare their summaries instead.

    Args:
        results: Names and results of campaigns with equal seed, trials, fault models, number format, labels and
            faults; two or more.
        baseline: Name of the one that the others are compared with; the first if None.
        metric: Which metric.
        confidence: Of the intervals, between 0 and 1.

    Raises:
        CampaignError: Fewer than two results, no such baseline or metric, or campaigns that differ.
    """
    if not isinstance(results, Mapping) or len(results) < 2:  # pyright: ignore[reportUnnecessaryIsInstance] - callers may not check types
        raise CampaignError(
            f"compare() got {list(results)}; give at least two results, as {{name: result}}"
        )
    name = next(iter(results)) if baseline is None else baseline
    if name not in results:
        raise CampaignError(f"baseline={name!r} is none of {list(results)}")
    reference = results[name]
    for other, result in results.items():
        check_paired(name, reference, other, result)
    rows = tuple(
        _difference(other, pair(reference, result, fault), fault, metric, confidence)
        for fault in reference.faults
        for other, result in results.items()
    )
    return Comparison(name, metric, confidence, rows, bool(reference.estimators))


def _difference(
    name: str, found: Pairs, fault: FaultModel, metric: str, confidence: float
) -> Difference:
    base, own = found.values(metric)
    estimator = found.baseline.estimators.get(fault)
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, and so is the difference
        difference = estimated(found.trials, own - base, confidence, estimator)
        mean = float(own.mean()) if own.size and estimator is None else math.nan
    if estimator is not None:
        mean = estimated(found.trials, own, confidence, estimator).estimate
    return Difference(name, fault, mean, difference, found.trials.size, found.failed, found.alone)
