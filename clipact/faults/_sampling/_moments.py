"""Mean and variance of a metric within strata of which each has few trials."""

from dataclasses import dataclass
from typing import final

import numpy as np

from clipact.faults._results._kept import Integers, Numbers

_HALF = 0.5


@final
@dataclass(frozen=True, eq=False)
class Moments:
    """Of each stratum, over the trials in it.

    Attributes:
        trials: Number of trials.
        total: Sum of the values.
        squares: Sum of their squares.
    """

    trials: Numbers
    total: Numbers
    squares: Numbers

    def gathered(self, groups: Integers) -> "Moments":
        """Those of groups of strata, whose numbers are given, as of one stratum each."""
        number = int(groups.max()) + 1
        return Moments(
            _sums(groups, self.trials, number),
            _sums(groups, self.total, number),
            _sums(groups, self.squares, number),
        )

    def with_prior(self, mean: Numbers, square: Numbers, weight: float) -> "Moments":
        """With so many more trials of this mean and mean square in each stratum."""
        return Moments(
            self.trials + weight, self.total + weight * mean, self.squares + weight * square
        )

    def means(self) -> tuple[Numbers, Numbers]:
        """The mean and the mean square of each stratum."""
        return self.total / self.trials, self.squares / self.trials


def moments(strata: Integers, values: Numbers, number: int) -> Moments:
    """Those of so many strata; of each value the number of its stratum is given."""
    return Moments(
        _sums(strata, np.ones_like(values), number),
        _sums(strata, values, number),
        _sums(strata, values**2, number),
    )


def smoothed_variances(
    found: Moments, families: Integers, weight: float, *, shares: bool
) -> Numbers:
    """The variance within each stratum, of which each counts further trials like those of its family, and it of all.

    That of a stratum in which nothing was seen is so not 0, but as small as what its family showed allows.

    Args:
        found: Of each stratum.
        families: Number of the family of each stratum.
        weight: How many further trials.
        shares: Whether all values are within 0 and 1: half a trial at each end is then counted with all.
    """
    everything = found.gathered(np.zeros(families.size, dtype=np.int64))
    if shares:
        end = np.array([_HALF])
        everything = everything.with_prior(end, end, 1.0)
    mean, square = everything.means()
    mean, square = found.gathered(families).with_prior(mean, square, weight).means()
    mean, square = found.with_prior(mean[families], square[families], weight).means()
    variances: Numbers = np.maximum(square - mean**2, 0.0)
    return variances


def _sums(groups: Integers, values: Numbers, number: int) -> Numbers:
    return np.bincount(groups, weights=values, minlength=number).astype(np.float64)
