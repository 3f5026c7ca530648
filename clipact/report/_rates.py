"""Faults that came alone, and how often those of a group matter."""

from dataclasses import dataclass
from typing import final

import numpy as np

from clipact.faults import Interval, wilson
from clipact.report._style import percent
from clipact.report._trials import Flags, Integers, Numbers


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

    def __len__(self) -> int:
        return self.hit.size

    def by(self, groups: Integers, size: int) -> "Rates":
        """Rates of the groups 0 to ``size - 1``; rows with a negative group are left out."""
        kept = groups >= 0
        trials = np.bincount(groups[kept], minlength=size)
        hits = np.bincount(groups[kept & self.hit], minlength=size)
        return Rates(trials.astype(np.int64), hits.astype(np.int64))


@final
@dataclass(frozen=True)
class Rates:
    """Of each group, how many trials there are and how many of them are hit."""

    trials: Integers
    hits: Integers

    @property
    def share(self) -> Numbers:
        """Hits of the trials; NaN where there is no trial."""
        return np.where(self.trials > 0, self.hits / np.maximum(self.trials, 1), np.nan)

    def interval(self, group: int, confidence: float) -> Interval:
        """The share with its Wilson interval; 0 to 1 where there is no trial."""
        hits, trials = int(self.hits[group]), int(self.trials[group])
        if trials == 0:
            return Interval(float("nan"), 0.0, 1.0)
        return Interval(hits / trials, *wilson(hits, trials, confidence))

    def told(self, group: int, confidence: float) -> str:
        """In words: hits, trials, share and interval."""
        found = self.interval(group, confidence)
        share, low, high = (percent(x) for x in (found.estimate, found.low, found.high))
        return f"{int(self.hits[group]):,} of {int(self.trials[group]):,} faults, {share} [{low}, {high}]"
