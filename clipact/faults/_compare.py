"""Paired comparison of campaigns that met the same faults."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from clipact._text import aligned
from clipact.errors import CampaignError
from clipact.faults._models import FaultModel
from clipact.faults._result import Result
from clipact.faults._statistics import Interval, bootstrap_mean


@final
@dataclass(frozen=True)
class Difference:
    """One model against the baseline, under one fault model.

    Attributes:
        name: Of the model.
        fault: The fault model.
        mean: The model's mean of the metric over trials.
        difference: Mean over trials of model minus baseline, with a bootstrap interval over the pairs; NaN where a
            trial of either was not finite.
    """

    name: str
    fault: FaultModel
    mean: float
    difference: Interval


@final
@dataclass(frozen=True)
class Comparison:
    """A table of differences from a baseline: print it, or read its rows.

    Attributes:
        baseline: Name of the model that the others are compared with.
        metric: What is compared.
        confidence: Of the intervals.
        rows: By fault model, then by name; the baseline's own have difference 0.
    """

    baseline: str
    metric: str
    confidence: float
    rows: tuple[Difference, ...]

    def __str__(self) -> str:
        header = ["fault", "model", self.metric, f"minus {self.baseline}"]
        cells: list[list[str]] = []
        for row in self.rows:
            d = row.difference
            shown = f"{d.estimate:+.4f} [{d.low:+.4f}, {d.high:+.4f}]"
            own = row.name == self.baseline
            cells.append([str(row.fault), row.name, f"{row.mean:.4f}", "" if own else shown])
        note = f"[low, high]: {100 * self.confidence:g} % percentile bootstrap over paired trials (same faults in both)."
        return "\n".join([aligned(header, cells), note])


def compare(
    results: Mapping[str, Result],
    *,
    baseline: str | None = None,
    metric: str = "accuracy",
    confidence: float = 0.95,
) -> Comparison:
    """Differences between models under the same faults, trial by trial.

    Because both models meet the same faults, a trial that is bad luck for one is bad luck for the other, and the
    difference is known much better than either mean. Models that did not meet the same faults in every trial, such as
    one whose thresholds are a target too, are refused: compare their summaries instead.

    Args:
        results: Names and results of campaigns with equal seed, trials, fault models, number format, labels and
            faults; two or more.
        baseline: Name of the one that the others are compared with; the first if None.
        metric: Which metric.
        confidence: Of the intervals, between 0 and 1.

    Raises:
        CampaignError: Fewer than two results, no such baseline or metric, or campaigns that differ.
    """
    if len(results) < 2:
        raise CampaignError(
            f"compare() got {list(results)}; give at least two results, as {{name: result}}"
        )
    name = next(iter(results)) if baseline is None else baseline
    if name not in results:
        raise CampaignError(f"baseline={name!r} is none of {list(results)}")
    reference = results[name]
    for other, result in results.items():
        _check_paired(name, reference, other, result)
    rows: list[Difference] = []
    for fault in reference.faults:
        base = reference.values(metric, fault)
        for other, result in results.items():
            found = result.values(metric, fault)
            with np.errstate(invalid="ignore"):  # inf - inf is NaN, and so is the difference
                difference = bootstrap_mean(found - base, confidence)
                rows.append(Difference(other, fault, float(found.mean()), difference))
    return Comparison(name, metric, confidence, tuple(rows))


def _check_paired(name: str, reference: Result, other: str, result: Result) -> None:
    for what, a, b in (
        ("seed", reference.seed, result.seed),
        ("number of trials", reference.trials_per_fault, result.trials_per_fault),
        ("fault models", list(reference.faults), list(result.faults)),
        ("number format", reference.format, result.format),
        ("data", reference.data, result.data),
        *_faults_met(reference, result),
    ):
        if a != b:
            raise CampaignError(
                f"{name} and {other} are not paired and differ in their {what}: {a} and {b}; run both campaigns with the"
                " same seed, trials, fault, target, format and data"
            )


def _faults_met(a: Result, b: Result) -> list[tuple[str, object, object]]:
    """What to compare of the faults themselves: targets in words may differ where the faults are the same."""
    met = [trial.digest for trial in a.trials] == [trial.digest for trial in b.trials]
    if met and a.population == b.population:
        return []
    found: list[tuple[str, object, object]] = [
        ("target", a.target, b.target),
        ("number of bits of the target", a.population, b.population),
    ]
    for one, two in zip(a.trials, b.trials, strict=False):
        where = f"faults in trial {one.trial} of {one.fault}"
        found.append((where, f"{one.flips} flips {one.digest}", f"{two.flips} flips {two.digest}"))
    return found
