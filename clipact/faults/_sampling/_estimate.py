"""What trials of strata say about all faults."""

import math
from typing import NamedTuple, final

import numpy as np

from clipact.faults._numbers._pooled import NOTHING, are_shares, rate_interval, student_interval
from clipact.faults._numbers._statistics import Interval
from clipact.faults._results._kept import Integers, Numbers
from clipact.faults._sampling._design import Design
from clipact.faults._sampling._moments import Moments, moments, smoothed_variances

_PRIOR = 1.0


def estimated_by_strata(
    design: Design, trials: Integers, values: Numbers, confidence: float
) -> Interval:
    r"""The mean over all faults, unbiased, with its interval.

    Of strata with :math:`N_h` faults, :math:`n_h` of them drawn at random with mean :math:`\bar y_h` and variance
    :math:`s_h^2`,

    .. math:: \hat y = \sum_h W_h \bar y_h, \quad
              \hat V = \sum_h W_h^2 \Bigl(1 - \frac{n_h}{N_h}\Bigr) \frac{s_h^2}{n_h}, \quad W_h = \frac{N_h}{N} .

    A pilot has decided how many came later. Counted together with these it would bias the estimate, since a stratum
    in which it happened to find nothing gets few more and keeps that mean. So the faults of the pilot stand for
    themselves alone, and the later ones for all others of their stratum. Until these are as many as the pilot's, and in every
    stratum, the pilot alone makes the estimate. All three numbers are NaN until every stratum has a trial.

    Variances are smoothed as by :func:`smoothed_variances`, degrees of freedom are Satterthwaite's. Of shares the interval is
    Wilson's, as in :func:`pooled_rate`, of other metrics Student's.

    References:
        Cochran: "Sampling Techniques", 1977, chapter 5.
    """
    if not values.size or not np.isfinite(values).all():
        return NOTHING
    strata = design.stratum[trials % design.cells]
    first = design.is_first(trials)
    later, number = ~first, design.sizes.size
    others = design.sizes > np.bincount(strata[first], minlength=number)
    missed = others & (np.bincount(strata[later], minlength=number) == 0)
    known = first
    if np.count_nonzero(later) < np.count_nonzero(first) or missed.any():
        known, later = np.zeros_like(first), first
    alone = moments(strata[known], values[known], number)
    drawn = moments(strata[later], values[later], number)
    sample = Sample(design.sizes, design.families, alone, drawn, shares=are_shares(values))
    return sample.estimate(confidence)


@final
class Sample(NamedTuple):
    """Values of a metric by stratum.

    Attributes:
        sizes: Of each stratum, how many faults there are.
        families: Of each stratum, the number of its family.
        alone: The values that stand for their own faults.
        drawn: The values of faults that were drawn from the others at random, and stand for these.
        shares: Whether all values are within 0 and 1.
    """

    sizes: Integers
    families: Integers
    alone: Moments
    drawn: Moments
    shares: bool

    def estimate(self, confidence: float) -> Interval:
        """The mean over all faults with its interval."""
        others, count = self.sizes - self.alone.trials, self.drawn.trials
        if bool(((others > 0) & (count == 0)).any()):
            return NOTHING
        each = np.maximum(count, 1.0)
        population = float(self.sizes.sum())
        mean = float((self.alone.total + others * self.drawn.total / each).sum()) / population
        variances = smoothed_variances(self.drawn, self.families, _PRIOR, shares=self.shares)
        variances *= each / np.maximum(count - 1.0, 1.0)
        rest = others / population
        parts = rest**2 * variances / each * (1.0 - count / np.maximum(others, 1.0))
        return self._interval(mean, parts, rest, confidence)

    def _interval(self, mean: float, parts: Numbers, rest: Numbers, confidence: float) -> Interval:
        """With the variance of the mean that each stratum brings."""
        count = self.drawn.trials
        unknown = self.sizes - self.alone.trials > count
        if not unknown.any():
            return Interval(mean, mean, mean)
        variance = float(parts.sum())
        squares = float((parts**2 / np.maximum(count - 1.0, 1.0)).sum())
        degrees = variance**2 / squares if squares > 0.0 else 1.0
        if not self.shares:
            return student_interval(mean, math.sqrt(variance), degrees, confidence)
        outcomes = float((count[unknown] / rest[unknown]).min())
        return rate_interval(min(max(mean, 0.0), 1.0), variance, degrees, outcomes, confidence)
