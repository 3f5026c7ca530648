"""Every bit once."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import final

import numpy as np

from clipact.errors import FaultError
from clipact.faults._hits import BitSpace, Hits, Indices, Numbers
from clipact.faults._models import FaultModel
from clipact.faults._sampling._sampling import Sampler, Sampling
from clipact.faults._sampling._single import check_single, single_bit


@final
@dataclass(frozen=True)
class Exhaustive(Sampling):
    """Flip every bit of the target once: trial ``t`` is bit ``t``, tensor by tensor, word by word.

    The campaign needs as many trials as the target has bits; its means are then the truth, and their intervals say what
    another target like this one would give.
    """

    def prepare(self, fault: FaultModel, spaces: Sequence[BitSpace], seed: int) -> Sampler:
        """See :class:`Sampling`."""
        del seed
        check_single(fault, self)
        return _Exhaustive(spaces)

    def __str__(self) -> str:
        return "exhaustive"


@final
class _Exhaustive(Sampler):
    def __init__(self, spaces: Sequence[BitSpace]) -> None:
        self._spaces = spaces
        self._ends = list(accumulate(space.bits for space in spaces))

    def hits(self, trial: int) -> list[list[Hits]]:
        space = bisect_right(self._ends, trial)
        address = trial - (self._ends[space - 1] if space else 0)
        return single_bit(self._spaces, space, *divmod(address, self._spaces[space].width))

    def plan(self, total: int, trials: Indices, values: Numbers) -> Indices:
        del trials, values
        if total != self._ends[-1]:
            raise FaultError(
                f"an exhaustive campaign of {self._ends[-1]:,} bits has as many trials, not {total:,}; give"
                f" trials={self._ends[-1]}, or sample"
            )
        return np.arange(total)
