"""Trials of one sample each: which sample a trial sees, and where that is in the batches."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple, final

import numpy as np

from clipact.faults._streams import Draw, Purpose, Streams


class Seat(NamedTuple):
    """A sample's place in the batches."""

    batch: int
    row: int


@final
class Samples:
    """Deals the samples out to trials: as many trials in a row as there are samples see each sample once.

    The sample of a trial is a pure function of seed and trial number.

    Args:
        sizes: Of the batches.
        seed: Of the campaign.
    """

    def __init__(self, sizes: Sequence[int], seed: int) -> None:
        self._ends = list(accumulate(sizes))
        self._seed = seed
        self._deal = lru_cache(maxsize=2)(self._permutation)

    @property
    def count(self) -> int:
        """Number of samples."""
        return self._ends[-1]

    def seat(self, trial: int) -> Seat:
        """Where the sample of a trial is."""
        block, place = divmod(trial, self.count)
        sample = self._deal(block)[place]
        batch = bisect_right(self._ends, sample)
        return Seat(batch, sample - (self._ends[batch - 1] if batch else 0))

    def _permutation(self, block: int) -> list[int]:
        stream = Streams(Draw(self._seed, block)).start("samples of trials", Purpose.ADDRESS)
        return np.argsort(stream.bit_generator.random_raw(self.count), kind="stable").tolist()
