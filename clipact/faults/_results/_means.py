"""The mean of a campaign's trials with its interval, at any number of trials."""

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np

from clipact.faults._numbers._statistics import Interval, bootstrap_mean
from clipact.faults._results._kept import Integers, Numbers

if TYPE_CHECKING:
    from clipact.faults._results._summary import Estimator

DISTINCT: Final = 1000
"""Above so many different values the bootstrap gives way to the normal interval, which it comes close to there and which takes no resampling."""


def mean_interval(values: Numbers, confidence: float) -> Interval:
    r"""The mean with a percentile bootstrap interval; above :data:`DISTINCT` different values :math:`\bar x \pm t s/\sqrt n`.

    With :math:`t` the two-sided normal quantile. Any value that is not finite, or none at all, makes all three numbers NaN.

    Args:
        values: One a trial.
        confidence: Of the interval, between 0 and 1.

    Raises:
        FaultError: ``confidence`` is out of range.

    Examples:
        >>> found = mean_interval(np.linspace(0.0, 1.0, 10_001), 0.95)
        >>> round(found.estimate, 4), round(found.low, 4), round(found.high, 4)
        (0.5, 0.4943, 0.5057)
    """
    many = values.size > DISTINCT and bool(np.isfinite(values).all())
    if not many or np.unique(values).size <= DISTINCT:
        return bootstrap_mean(values, confidence)
    bootstrap_mean(values[:0], confidence)  # refuses what is no confidence
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    half = NormalDist().inv_cdf(0.5 + confidence / 2.0) * spread / math.sqrt(values.size)
    return Interval(mean, mean - half, mean + half)


def estimated(
    trials: Integers, values: Numbers, confidence: float, estimator: "Estimator | None"
) -> Interval:
    """The estimator's interval, or that of the plain mean if there is none; NaN where values are not finite or missing.

    Args:
        trials: Numbers of the trials, rising.
        values: One a trial.
        confidence: Of the interval, between 0 and 1.
        estimator: What weighs the trials.
    """
    if estimator is None or not values.size or not np.isfinite(values).all():
        return mean_interval(values, confidence)
    return estimator.estimate(trials, values, confidence)
