"""Trials by strata: bits of one kind have trials of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from clipact.errors import FaultError
from clipact.faults._hits import BitSpace, Hits
from clipact.faults._models import FaultModel
from clipact.faults._results._kept import Integers, Numbers
from clipact.faults._sampling._allocation import Allocation
from clipact.faults._sampling._by import By, by_tensor_and_bit
from clipact.faults._sampling._cells import Cells
from clipact.faults._sampling._estimator import StratifiedEstimator
from clipact.faults._sampling._order import order_keys, shuffled_one
from clipact.faults._sampling._sampling import Sampler, Sampling
from clipact.faults._sampling._single import bits_of_single_fault


@final
@dataclass(frozen=True, kw_only=True)
class Stratified(Sampling):
    """Single faults by strata, such as bit 30 of one layer: the same precision with fewer trials.

    Most bits hardly ever matter and few nearly always do, and which is which depends on the bit's position and its tensor.
    So each kind has its own trials, and the estimate weighs them by how many bits there are of each. Within a stratum
    no bit is drawn twice; one of which every bit was drawn is known exactly.

    The fault of a trial depends on nothing but the seed, its number, and what bits there are: not on how many trials
    there are or where they go. Strata with fewer than two trials (in the pilot, if there is one) are merged with their
    neighbours: of one bit position, the layers next to each other. So any number of trials will do.

    For fault models with one fault of a bit: ``BitFlip(count=1)`` and ``StuckAt(value, count=1)``.

    Args:
        by: ``by(tensor name, bit position)`` says in which stratum a bit is: :func:`by_tensor_and_bit`, :func:`by_bit`,
            :func:`by_tensor`, or a function of yours. Strata whose keys are tuples with equal first entries are merged
            first.
        allocation: How trials are shared among the strata.
        pilot: Share of the trials that the pilot of ``Allocation.NEYMAN`` has, at most a half. They decide where the
            others go and count for their own faults alone.
        metric: What the pilot measures. The other metrics are unbiased too, but gain less.

    Raises:
        FaultError: The pilot's share is out of range.

    Examples:
        >>> print(Stratified(allocation=Allocation.NEYMAN))
        stratified (by_tensor_and_bit, Neyman by sdc after a pilot of 0.2)
    """

    by: By = by_tensor_and_bit
    allocation: Allocation = Allocation.PROPORTIONAL
    pilot: float = 0.2
    metric: str = "sdc"

    def __post_init__(self) -> None:
        if not isinstance(self.allocation, Allocation):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may not check types
            raise FaultError(
                f"Stratified(allocation={self.allocation!r}): give Allocation.PROPORTIONAL or Allocation.NEYMAN"
            )
        if not 0.0 < self.pilot <= 0.5:
            raise FaultError(f"Stratified(pilot={self.pilot}): give a share above 0, up to 0.5")
        if not callable(self.by):
            raise FaultError(
                f"Stratified(by={self.by!r}): give faults.by_bit or another function of tensor name and bit"
            )

    @property
    def is_adaptive(self) -> bool:
        """With a pilot."""
        return self.allocation is Allocation.NEYMAN

    def prepare(
        self, fault: FaultModel, spaces: Sequence[BitSpace], seed: int, trials: int
    ) -> Sampler:
        """See :class:`Sampling`."""
        cells = Cells(spaces, bits_of_single_fault(fault, spaces, self), self.by)
        estimator = StratifiedEstimator(
            tuple(cells.sizes.tolist()),
            tuple(cells.families.tolist()),
            cells.layout,
            seed,
            self.pilot if self.is_adaptive else 0.0,
            trials,
        )
        return _StratifiedSampler(cells, estimator, self.metric if self.is_adaptive else None)

    def __str__(self) -> str:
        by = getattr(self.by, "__name__", repr(self.by))
        rest = f" by {self.metric} after a pilot of {self.pilot:g}" if self.is_adaptive else ""
        return f"stratified ({by}, {self.allocation.value}{rest})"


@final
class _StratifiedSampler(Sampler):
    def __init__(self, cells: Cells, estimator: StratifiedEstimator, metric: str | None) -> None:
        self._cells, self._estimator, self._metric = cells, estimator, metric

    @property
    def metric(self) -> str | None:
        return self._metric

    @property
    def estimator(self) -> StratifiedEstimator:
        return self._estimator

    def hits(self, trial: int) -> list[list[Hits]]:
        number, cell = divmod(trial, self._cells.sizes.size)
        keys = order_keys(self._cells.names[cell], self._estimator.seed)
        place = shuffled_one(keys, int(self._cells.sizes[cell]), number)
        return [self._cells.hits(cell, place)]

    def plan(self, trials: Integers, values: Numbers) -> Integers:
        first = self._estimator.design.first_trials()
        if self._metric is None:
            return first
        order = np.argsort(trials)
        places = np.searchsorted(trials, first, sorter=order)
        if places.size and places.max(initial=0) >= trials.size:
            return first
        found = order[places]
        if not bool((trials[found] == first).all()):
            return first
        return np.concatenate([first, self._estimator.design.later_trials(first, values[found])])
