"""Every single fault there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np

from clipact.errors import FaultError
from clipact.faults._hits import BitSpace, Hits
from clipact.faults._models import FaultModel
from clipact.faults._results._kept import Integers, Numbers
from clipact.faults._sampling._estimator import StratifiedEstimator
from clipact.faults._sampling._sampling import Sampler, Sampling
from clipact.faults._sampling._single import bits_of_single_fault, single_hit
from clipact.faults._streams import Draw, Purpose, Streams


@final
@dataclass(frozen=True)
class Exhaustive(Sampling):
    """Every single fault there is, once: nothing is left to chance.

    Trial ``t`` has the fault at bit address ``t``, counted through all tensors; the seed changes only the order in which they are
    run, which is random. So what is known when a campaign is stopped is a random sample, whose interval shrinks to nothing as
    the last trials are done.

    For fault models with one fault of a bit, and campaigns with at least as many trials as there are such bits.

    Examples:
        >>> print(Exhaustive())
        exhaustive
    """

    def prepare(
        self, fault: FaultModel, spaces: Sequence[BitSpace], seed: int, trials: int
    ) -> Sampler:
        """See :class:`Sampling`."""
        positions = bits_of_single_fault(fault, spaces, self)
        population = sum(s.words * len(bits) for s, bits in zip(spaces, positions, strict=True))
        if trials < population:
            raise FaultError(
                f"exhaustive sampling runs all {population:,} faults of {fault}, and trials={trials}; give"
                f" trials={population}, narrow the target, or use sampling=Stratified()"
            )
        return _ExhaustiveSampler(spaces, positions, seed)

    def __str__(self) -> str:
        return "exhaustive"


@final
class _ExhaustiveSampler(Sampler):
    def __init__(
        self, spaces: Sequence[BitSpace], positions: Sequence[Sequence[int]], seed: int
    ) -> None:
        self._positions, self._seed = positions, seed
        self._ends = np.cumsum([s.words * len(b) for s, b in zip(spaces, positions, strict=True)])

    @property
    def estimator(self) -> StratifiedEstimator:
        population = int(self._ends[-1])
        return StratifiedEstimator((population,), (0,), "one", self._seed, 0.0, population)

    def hits(self, trial: int) -> list[list[Hits]]:
        space = int(np.searchsorted(self._ends, trial, side="right"))
        start = int(self._ends[space - 1]) if space else 0
        word, place = divmod(trial - start, len(self._positions[space]))
        return [single_hit(self._ends.size, space, word, self._positions[space][place])]

    def plan(self, trials: Integers, values: Numbers) -> Integers:
        del trials, values
        return self._order

    @cached_property
    def _order(self) -> Integers:
        stream = Streams(Draw(self._seed, 0)).start("every fault", Purpose.ORDER)
        words = stream.bit_generator.random_raw(int(self._ends[-1]))
        return np.argsort(words, kind="stable")
