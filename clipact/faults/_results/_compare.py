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
        same_faults: Whether both models of a pair met the same faults.
    """

    baseline: str
    metric: str
    confidence: float
    rows: tuple[Difference, ...]
    weighted: bool = False
    same_faults: bool = True

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
        faults = (
            "same faults in both" if self.same_faults else "same seed, but not all faults the same"
        )
        note = f"[low, high]: {how} ({faults})."
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
    same_faults: bool = True,
) -> Comparison:
    """Differences between models under the same faults, trial by trial.

    Because both models meet the same faults, a trial that is bad luck for one is bad luck for the other, and the
    difference is known much better than either mean. Trials that only one campaign has, or whose evaluation raised in
    either, are left out and counted.

    Models whose targets differ, such as one whose thresholds are a target too, meet the same faults only in the tensors
    they share, by rate and by name. ``same_faults=False`` pairs their trials by number all the same: the intervals hold,
    and are the narrower the more faults the two share.

    Args:
        results: Names and results of campaigns with equal seed, trials, fault models, number format, labels and
            faults; two or more.
        baseline: Name of the one that the others are compared with; the first if None.
        metric: Which metric.
        confidence: Of the intervals, between 0 and 1.
        same_faults: Refuse campaigns in which a trial met other faults than its pair.

    Raises:
        CampaignError: Fewer than two results, no such baseline or metric, or campaigns that differ.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from clipact import faults
        >>> x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
        >>> model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
        >>> def campaign(target):
        ...     check = lambda net: float((net(x).argmax(1) == 0).float().mean())
        ...     return faults.Campaign(
        ...         model, check, fault=faults.BitFlip(rate=1e-3), target=target, trials=20, seed=0
        ...     ).run(progress=False)
        >>> weights = campaign(faults.Weights())
        >>> both = campaign(faults.Weights() | faults.Biases())
        >>> table = compare({"weights": weights, "and biases": both}, metric="value", same_faults=False)
        >>> [(row.name, row.pairs) for row in table.rows]
        [('weights', 20), ('and biases', 20)]
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
        check_paired((name, reference), (other, result), same_faults=same_faults)
    rows = tuple(
        _difference(other, pair(reference, result, fault), fault, metric, confidence)
        for fault in reference.faults
        for other, result in results.items()
    )
    weighted = bool(reference.estimators)
    return Comparison(name, metric, confidence, rows, weighted, same_faults)


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
