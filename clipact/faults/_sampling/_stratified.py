r"""Single bits, drawn stratum by stratum.

Let stratum :math:`h` have :math:`N_h` of all :math:`N` bits and :math:`n_h` trials with mean :math:`\bar y_h` and variance
:math:`s_h^2`. The mean over all bits is estimated without bias by

.. math:: \hat y = \sum_h \frac{N_h}{N} \bar y_h , \qquad
          \mathrm{Var}(\hat y) = \sum_h \left(\frac{N_h}{N}\right)^2 \frac{s_h^2}{n_h} .

Which bit is hit matters far more than which weight (the upper exponent bits do nearly all of the damage), so most of the
variance lies between strata of bit positions, and is gone.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias, final

import numpy as np

from clipact.errors import FaultError
from clipact.faults._hits import BitSpace, Hits, Indices, Numbers
from clipact.faults._models import FaultModel
from clipact.faults._sampling._sampling import Sampler, Sampling
from clipact.faults._sampling._single import check_single, single_bit
from clipact.faults._statistics import Interval
from clipact.faults._streams import Draw, Purpose, Streams
from clipact.faults._summary import Estimator

By: TypeAlias = Callable[[str, int], Hashable]


def by_bit(tensor: str, bit: int) -> Hashable:
    """A stratum for each bit position."""
    del tensor
    return bit


def by_tensor(tensor: str, bit: int) -> Hashable:
    """A stratum for each tensor."""
    del bit
    return tensor


def by_tensor_and_bit(tensor: str, bit: int) -> Hashable:
    """A stratum for each bit position of each tensor."""
    return tensor, bit


@final
@dataclass(frozen=True)
class Stratified(Sampling):
    """Give each stratum of bits its share of the trials, instead of leaving it to chance.

    Each stratum has trials in proportion to its bits, two at the least; the summary weighs them by what the strata are of
    the whole. Trial ``k * S + s`` is draw ``k`` of stratum ``s`` of ``S``, so a trial's fault depends on neither the number
    of trials nor on what they find.

    Args:
        by: ``by(tensor name, bit position)`` gives the stratum: :func:`by_bit`, :func:`by_tensor`,
            :func:`by_tensor_and_bit`, or a function of yours.

    References:
        Cochran: "Sampling Techniques", 3rd edition, chapter 5.
    """

    by: By = by_bit

    def prepare(self, fault: FaultModel, spaces: Sequence[BitSpace], seed: int) -> Sampler:
        """See :class:`Sampling`."""
        check_single(fault, self)
        return _Stratified(self.by, spaces, seed)

    def __str__(self) -> str:
        return f"stratified {getattr(self.by, '__name__', repr(self.by))}"


@final
@dataclass(frozen=True)
class StratifiedEstimator(Estimator):
    """Weighs strata by their bits.

    Attributes:
        bits: Of each stratum.
    """

    bits: tuple[int, ...]

    def estimate(self, trials: Indices, values: Numbers, confidence: float) -> Interval:
        """See :class:`Estimator`; NaN where a stratum has no trial. The interval is normal.

        The variance of a stratum of shares (values 0 to 1) is that of its smoothed mean, (sum + 1) / (n + 2), so that one
        in which nothing happened yet is not taken for certain.
        """
        strata = len(self.bits)
        stratum = trials % strata
        counts = np.bincount(stratum, minlength=strata)
        if not bool(counts.all()):
            return Interval(math.nan, math.nan, math.nan)
        sums = np.bincount(stratum, values, strata)
        means = sums / counts
        if bool(((values >= 0.0) & (values <= 1.0)).all()):
            smooth = (sums + 1.0) / (counts + 2.0)
            variances = smooth * (1.0 - smooth)
        else:
            squares = np.bincount(stratum, (values - means[stratum]) ** 2, strata)
            variances = squares / np.maximum(counts - 1, 1)
        weights = np.array(self.bits, dtype=np.float64) / sum(self.bits)
        estimate = float(weights @ means)
        spread = float(np.sqrt(weights**2 @ (variances / counts)))
        half = NormalDist().inv_cdf(0.5 + confidence / 2.0) * spread
        return Interval(estimate, estimate - half, estimate + half)


@final
class _Stratified(Sampler):
    def __init__(self, by: By, spaces: Sequence[BitSpace], seed: int) -> None:
        self._spaces, self._seed = spaces, seed
        self._members: dict[Hashable, list[tuple[int, int]]] = {}
        for place, space in enumerate(spaces):
            for bit in range(space.width):
                self._members.setdefault(by(space.name, bit), []).append((place, bit))
        self._strata = list(self._members.values())
        self._words = [np.cumsum([spaces[p].words for p, _ in some]) for some in self._strata]
        self._bits = [int(words[-1]) for words in self._words]
        self.estimator = StratifiedEstimator(tuple(self._bits))

    def hits(self, trial: int) -> list[list[Hits]]:
        number, stratum = divmod(trial, len(self._strata))
        words = self._words[stratum]
        stream = Streams(Draw(self._seed, number)).start(f"stratum {stratum}", Purpose.ADDRESS)
        address = _below(stream, int(words[-1]))
        member = int(np.searchsorted(words, address, side="right"))
        index = address - (int(words[member - 1]) if member else 0)
        space, bit = self._strata[stratum][member]
        return single_bit(self._spaces, space, index, bit)

    def plan(self, total: int, trials: Indices, values: Numbers) -> Indices:
        del trials, values
        strata = len(self._strata)
        if total < 2 * strata:
            raise FaultError(
                f"{total} trials for {strata} strata: each needs two; give trials={2 * strata} or more, or coarser strata, as"
                " Stratified(by=faults.by_bit)"
            )
        shares = (total - 2 * strata) * np.array(self._bits) / sum(self._bits)
        counts = np.floor(shares).astype(np.int64)
        rest = total - 2 * strata - int(counts.sum())
        counts[np.argsort(counts - shares, kind="stable")[:rest]] += 1
        every = [
            np.arange(count + 2) * strata + stratum for stratum, count in enumerate(counts.tolist())
        ]
        return np.sort(np.concatenate(every))


def _below(stream: np.random.Generator, population: int) -> int:
    """Uniform and unbiased: words past the last full range are dropped."""
    last = 2**64 - 2**64 % population - 1
    while (word := int(stream.bit_generator.random_raw())) > last:
        pass
    return word % population
