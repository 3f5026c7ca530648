"""Every fault as likely as the fault model says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from clipact.faults._hits import BitSpace, Hits, Indices, Numbers
from clipact.faults._models import FaultModel, draw_parts
from clipact.faults._sampling._sampling import Sampler, Sampling
from clipact.faults._streams import Draw


@final
@dataclass(frozen=True)
class Uniform(Sampling):
    """Draw from the fault model itself; all trials count alike. The default, and right for every fault model."""

    def prepare(self, fault: FaultModel, spaces: Sequence[BitSpace], seed: int) -> Sampler:
        """See :class:`Sampling`."""
        return _Uniform(fault, spaces, seed)

    def __str__(self) -> str:
        return "uniform"


@final
class _Uniform(Sampler):
    def __init__(self, fault: FaultModel, spaces: Sequence[BitSpace], seed: int) -> None:
        self._fault, self._spaces, self._seed = fault, spaces, seed

    def hits(self, trial: int) -> list[list[Hits]]:
        return draw_parts(self._fault, self._spaces, Draw(self._seed, trial))

    def plan(self, total: int, trials: Indices, values: Numbers) -> Indices:
        del trials, values
        return np.arange(total)
