"""What weighs the trials of strata, as plain values."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np

from clipact.faults._numbers._statistics import Interval
from clipact.faults._results._kept import Integers, Numbers
from clipact.faults._results._summary import Estimator
from clipact.faults._sampling._design import Design
from clipact.faults._sampling._estimate import estimated_by_strata


@final
@dataclass(frozen=True)
class StratifiedEstimator(Estimator):
    """See :func:`estimated_by_strata`; plain values, from which a store makes it again.

    Attributes:
        sizes: Of each cell, the number of bits.
        families: Of each cell, the number of its family.
        layout: A hash of which bits are in which cell.
        seed: Of the campaign.
        pilot: Share of the trials in the pilot; 0 for none.
        trials: How many there are to be; 0 in what identifies a campaign, of which there may be more later.
    """

    sizes: tuple[int, ...]
    families: tuple[int, ...]
    layout: str
    seed: int
    pilot: float
    trials: int = 0

    def of_campaign(self, trials: int) -> "StratifiedEstimator":
        """See :class:`Estimator`."""
        return replace(self, trials=trials)

    def estimate(self, trials: Integers, values: Numbers, confidence: float) -> Interval:
        """See :class:`Estimator`."""
        return estimated_by_strata(self.design, trials, values, confidence)

    @cached_property
    def design(self) -> Design:
        """The strata."""
        sizes, families = np.array(self.sizes), np.array(self.families)
        return Design(sizes, families, self.seed, self.trials, self.pilot)

    def __str__(self) -> str:
        number = len(self.sizes)
        return f"{number:,} {'cell' if number == 1 else 'cells'} with layout {self.layout}"
