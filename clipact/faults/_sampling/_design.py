"""Strata for a number of trials: which cells they have, which trials, and in which order."""

from functools import cached_property
from typing import final

import numpy as np
import numpy.typing as npt

from clipact.faults._numbers._pooled import are_shares
from clipact.faults._results._kept import Integers, Numbers
from clipact.faults._sampling._allocation import apportion, neyman_weights
from clipact.faults._sampling._merging import LEAST, merged
from clipact.faults._sampling._moments import moments, smoothed_variances
from clipact.faults._sampling._order import order_keys, shuffled

_WAVES = 10
_PRIOR = 2.0


@final
class Design:
    """The strata of a campaign. Trial ``k * cells + cell`` has fault ``k`` of a cell, whatever the strata.

    The draws of a stratum are a random order of its bits. So those of a stratum of several cells fall on these as by chance,
    and each cell gives its next fault. The first draws of each stratum are its share of the pilot, or all there are.

    Args:
        sizes: Of each cell, the number of bits.
        families: Of each cell, a number that it shares with those it is merged with first.
        seed: Of the campaign.
        trials: How many there are to be.
        pilot: The share of them that the pilot has; 0 for no pilot.

    Attributes:
        cells: Their number.
        stratum: Of each cell, the number of its stratum.
        sizes: Of each stratum, the number of bits.
        weights: The same, as shares of all.
        families: Of each stratum, the number of its family.
        first: Of each stratum, how many of the first draws it has.
    """

    def __init__(
        self, sizes: Integers, families: Integers, seed: int, trials: int, pilot: float
    ) -> None:
        self._cell_sizes, self._seed, self._pilot = sizes, seed, pilot
        self.cells = sizes.size
        early = max(1, int(pilot * trials)) if pilot else trials
        self._groups = merged(early * sizes / sizes.sum(), families)
        self.stratum = np.empty(sizes.size, dtype=np.int64)
        for number, group in enumerate(self._groups):
            self.stratum[group] = number
        self.sizes = np.array([int(sizes[group].sum()) for group in self._groups])
        self.weights: Numbers = self.sizes / self.sizes.sum()
        self.families = np.array([int(families[group[0]]) for group in self._groups])
        self.first = apportion(early, self.weights, np.minimum(self.sizes, LEAST), self.sizes)
        self._later = trials - int(self.first.sum()) if pilot else 0

    def first_trials(self) -> Integers:
        """The pilot, or all trials if there is none, in the order in which they are run."""
        return self._first_trials

    @cached_property
    def _first_trials(self) -> Integers:
        return self._trials(np.zeros_like(self.first), self.first)

    def later_trials(self, trials: Integers, values: Numbers) -> Integers:
        """The trials after the pilot, shared among the strata by what it found, in the order in which they are run.

        Args:
            trials: The trials of the pilot.
            values: Of each, the metric; those that are not finite are left out.
        """
        known = np.isfinite(values)
        weights = self._later_weights(trials[known], values[known])
        left = self.sizes - self.first
        later = apportion(self._later, weights, np.minimum(left, LEAST), left)
        return self._trials(self.first, self.first + later)

    def _later_weights(self, trials: Integers, values: Numbers) -> Numbers:
        if not values.size:
            return self.weights
        found = moments(self.stratum[trials % self.cells], values, self.sizes.size)
        shares = are_shares(values)
        variances = smoothed_variances(found, self.families, _PRIOR, shares=shares)
        return neyman_weights(self.weights, np.sqrt(variances))

    def is_first(self, trials: Integers) -> npt.NDArray[np.bool_]:
        """Which of some trials are the pilot's; without a pilot, all."""
        if not self._pilot:
            return np.ones(trials.size, dtype=np.bool_)
        return trials // self.cells < self._first_of_cells[trials % self.cells]

    @cached_property
    def _first_of_cells(self) -> Integers:
        return np.bincount(self._first_trials % self.cells, minlength=self.cells)

    def _trials(self, start: Integers, stop: Integers) -> Integers:
        """The draws of each stratum from one to before another, a tenth of each stratum at a time, by number."""
        parts = [np.empty(0, dtype=np.int64)]
        waves = [np.empty(0, dtype=np.int64)]
        for number in range(self.sizes.size):
            low, high = int(start[number]), int(stop[number])
            cells = self._draws(number, high)
            parts.append((_earlier(cells) * self.cells + cells)[low:])
            waves.append(np.arange(high - low) * _WAVES // max(high - low, 1))
        trials = np.concatenate(parts)
        return trials[np.lexsort((trials, np.concatenate(waves)))]

    def _draws(self, number: int, count: int) -> Integers:
        """The cells on which the first draws of a stratum fall."""
        group = self._groups[number]
        if group.size == 1:
            return np.full(count, group[0])
        keys = order_keys(f"stratum {group[0]} to {group[-1]}", self._seed)
        places = shuffled(keys, int(self.sizes[number]), np.arange(count))
        ends = np.cumsum(self._cell_sizes[group])
        return group[np.searchsorted(ends, places, side="right")]


def _earlier(cells: Integers) -> Integers:
    """Of each draw, how many before it fell on the same cell."""
    order = np.argsort(cells, kind="stable")
    starts = np.flatnonzero(np.diff(cells[order], prepend=-1))
    before = np.arange(cells.size) - np.repeat(starts, np.diff(np.append(starts, cells.size)))
    found = np.empty_like(cells)
    found[order] = before
    return found
