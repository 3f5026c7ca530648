"""Faults that came alone, and how often those of a group matter."""

from dataclasses import dataclass
from typing import final

import numpy as np

from clipact.faults import Interval
from clipact.report._columns import Flags, Integers, Numbers
from clipact.report._style import percent
from clipact.report._weights import wilson_share


@final
@dataclass(frozen=True)
class Singles:
    """Trials with exactly one fault, one row each.

    Attributes:
        names: Tensors, in the model's order.
        tensor: Place of the tensor in ``names``, shape ``(rows,)`` as all that follow.
        bit: Position of the bit, -1 for a whole word.
        before: The word's value before.
        after: The word's value after.
        rising: 1 where the bit went from 0 to 1, -1 from 1 to 0, 0 where that cannot be told.
        hit: Whether the metric left its golden value.
        values: The metric.
        of: Number of trials of the campaign, with those that failed or had other numbers of faults.
        weight: What share of all faults each row stands for, where they do not count alike; else None.
    """

    names: tuple[str, ...]
    tensor: Integers
    bit: Integers
    before: Numbers
    after: Numbers
    rising: Integers
    hit: Flags
    values: Numbers
    of: int
    weight: Numbers | None = None

    def __len__(self) -> int:
        return self.hit.size

    def __str__(self) -> str:
        weighted = "" if self.weight is None else ", weighted as they were sampled"
        return f"{len(self):,} trials with one fault{weighted}"

    def by(self, groups: Integers, size: int) -> "Rates":
        """Rates of the groups 0 to ``size - 1``; rows with a negative group are left out."""
        kept = groups >= 0
        weight = np.ones(len(self)) if self.weight is None else self.weight

        def summed(values: Numbers) -> Numbers:
            return np.bincount(groups[kept], values[kept], size).astype(np.float64)

        trials, total = summed(np.ones(len(self))), summed(weight)
        with np.errstate(divide="ignore", invalid="ignore"):  # groups without trials are NaN
            share, mean = summed(weight * self.hit) / total, summed(weight * self.values) / total
            effective = trials if self.weight is None else total**2 / summed(weight**2)
            of_all = summed(weight * self.hit) / float(weight @ self.hit)
        hits = summed(self.hit.astype(np.float64)).astype(np.int64)
        return Rates(trials.astype(np.int64), hits, share, mean, effective, of_all)


@final
@dataclass(frozen=True)
class Rates:
    """Of each group of trials what they gave, shape ``(groups,)``.

    Attributes:
        trials: How many trials there are.
        hits: How many of them are hit.
        share: What share of the faults of the group is hit; NaN where there is no trial.
        mean: Of the metric.
        effective: How many trials that count alike would say as much.
        of_all: What share of all faults that are hit is in the group; NaN where there is none.
    """

    trials: Integers
    hits: Integers
    share: Numbers
    mean: Numbers
    effective: Numbers
    of_all: Numbers

    def interval(self, group: int, confidence: float) -> Interval:
        """The share with its Wilson interval; NaN between 0 and 1 where there is no trial."""
        return wilson_share(float(self.share[group]), float(self.effective[group]), confidence)

    def told(self, group: int, confidence: float) -> str:
        """In words: hits, trials, share and interval."""
        found = self.interval(group, confidence)
        rate, low, high = (percent(x) for x in (found.estimate, found.low, found.high))
        return f"{int(self.hits[group]):,} of {int(self.trials[group]):,} faults, {rate} [{low}, {high}]"
