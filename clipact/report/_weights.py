"""Shares of trials with their intervals, also where trials do not all count alike."""

import math
from statistics import NormalDist
from typing import Protocol

import numpy as np

from clipact.faults import Interval
from clipact.report._columns import Flags, Integers, Numbers


class Estimator(Protocol):
    """What makes an estimate of trials that were not drawn uniformly; see :attr:`Result.estimators`."""

    def estimate(self, trials: Integers, values: Numbers, confidence: float) -> Interval:
        """The mean over all faults there are."""
        ...


def share(estimator: Estimator | None, trials: Integers, hit: Flags, confidence: float) -> Interval:
    """How often something happens: Wilson's interval where trials count alike, the estimator's elsewhere.

    Args:
        estimator: Weighs the trials; None if they count alike.
        trials: Their numbers, rising; at least one.
        hit: In which of them it happened.
        confidence: Of the interval.
    """
    if estimator is None:
        return wilson_share(float(hit.mean()), hit.size, confidence)
    found = estimator.estimate(trials, hit.astype(np.float64), confidence)
    return Interval(found.estimate, max(0.0, found.low), min(1.0, found.high))


def wilson_share(rate: float, trials: float, confidence: float) -> Interval:
    """Wilson's interval of a share; ``trials`` may be an effective number, which is no whole one.

    Examples:
        >>> from clipact import faults
        >>> found = wilson_share(0.1, 50, 0.95)
        >>> (round(found.low, 6), round(found.high, 6)) == tuple(round(end, 6) for end in faults.wilson(5, 50))
        True
    """
    if not trials > 0:
        return Interval(math.nan, 0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    middle, scale = rate + z**2 / (2.0 * trials), 1.0 + z**2 / trials
    half = z * math.sqrt(rate * (1.0 - rate) / trials + z**2 / (4.0 * trials**2))
    low = 0.0 if rate <= 0.0 else (middle - half) / scale
    high = 1.0 if rate >= 1.0 else (middle + half) / scale
    return Interval(rate, low, high)


def trial_weights(estimator: Estimator, trials: Integers, cells: Integers) -> Numbers:
    """What share of all faults each trial stands for.

    An estimate is linear in the values, so that of the flags of a cell is the sum of its trials' weights.

    Args:
        estimator: Weighs the trials.
        trials: Their numbers, rising.
        cells: Of each trial, the part of the faults that it is from, within which all are alike, such as one bit of one tensor.

    Returns:
        Weights, shape ``(trials,)``; NaN where the estimator cannot tell.
    """
    _, place, counts = np.unique(cells, return_inverse=True, return_counts=True)
    sums = [
        estimator.estimate(trials, (place == cell).astype(np.float64), 0.95).estimate
        for cell in range(counts.size)
    ]
    return (np.array(sums) / counts)[place]
