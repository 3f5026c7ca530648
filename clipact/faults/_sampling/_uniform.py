"""Every trial draws as its fault model says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from clipact.faults._hits import BitSpace, Hits
from clipact.faults._models import FaultModel, draw_parts
from clipact.faults._results._kept import Integers, Numbers
from clipact.faults._sampling._sampling import Sampler, Sampling
from clipact.faults._streams import Draw


@final
@dataclass(frozen=True)
class Uniform(Sampling):
    """Every trial draws as its fault model says, uniformly over the bits; for any fault model.

    Examples:
        >>> print(Uniform())
        uniform
    """

    def prepare(
        self, fault: FaultModel, spaces: Sequence[BitSpace], seed: int, trials: int
    ) -> Sampler:
        """See :class:`Sampling`."""
        return _UniformSampler(fault, spaces, seed, trials)

    def __str__(self) -> str:
        return "uniform"


@final
class _UniformSampler(Sampler):
    def __init__(
        self, fault: FaultModel, spaces: Sequence[BitSpace], seed: int, trials: int
    ) -> None:
        self._fault, self._spaces, self._seed, self._trials = fault, spaces, seed, trials

    def hits(self, trial: int) -> list[list[Hits]]:
        return draw_parts(self._fault, self._spaces, Draw(self._seed, trial))

    def plan(self, trials: Integers, values: Numbers) -> Integers:
        del trials, values
        return np.arange(self._trials)
