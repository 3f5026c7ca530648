"""Rates over all samples of all trials, where the samples of one trial share its faults."""

import math

import numpy as np
import numpy.typing as npt

from clipact.errors import FaultError
from clipact.faults._numbers._quantiles import normal_quantile, student_quantile
from clipact.faults._numbers._statistics import Interval, check_confidence, wilson_ends

NOTHING = Interval(math.nan, math.nan, math.nan)


def pooled_rate(
    shares: npt.NDArray[np.float64],
    samples: npt.NDArray[np.int64] | None = None,
    confidence: float = 0.95,
) -> Interval:
    r"""The rate over all samples of all trials, such as the SDC rate over images, clustered by trial.

    The samples of one trial share its faults: 100 trials with 1,000 images each are 100 independent outcomes, not
    100,000, and an interval that takes the images as independent is far too narrow. Of :math:`T` trials with
    shares :math:`y_i` of :math:`m_i` samples, the estimate is a ratio and its variance is linearised,

    .. math:: \hat p = \frac{\sum_i m_i y_i}{\sum_i m_i}, \quad
              \hat V = \frac{T}{T - 1} \frac{\sum_i m_i^2 (y_i - \hat p)^2}{(\sum_i m_i)^2} .

    The interval is Wilson's with the number of independent outcomes that would give this variance,
    :math:`\hat p (1 - \hat p) / \hat V`, and the quantile of Student's t with :math:`T - 1` degrees of freedom. It
    stays within 0 and 1, and holds for rates that some ten trials make up, where a bootstrap is still too narrow. Where
    all trials gave the same, a trial counts as one outcome.

    Args:
        shares: Of each trial, the share of its samples, shape ``(trials,)``, within 0 and 1.
        samples: Of each trial, how many samples it has; None where all have equally many.
        confidence: Of the interval, between 0 and 1.

    Returns:
        Rate and interval; all NaN where there is no trial or a share is NaN.

    Raises:
        FaultError: A share is not within 0 and 1, or there are not as many samples as trials.

    References:
        Cochran: "Sampling Techniques", 1977, chapter 6 (ratio estimates). Dean, Pagano: "Evaluating confidence interval
        methods for binomial proportions in clustered surveys", Journal of Survey Statistics and Methodology 3,
        2015 (Wilson with an effective sample size).

    Examples:
        >>> found = pooled_rate(np.array([0.0, 0.0, 0.5, 0.0, 0.25]))
        >>> round(found.estimate, 4), round(found.low, 4), round(found.high, 4)
        (0.15, 0.0261, 0.5377)
    """
    check_confidence(confidence)
    shares = np.asarray(shares, dtype=np.float64)
    weights = np.ones(shares.size) if samples is None else np.asarray(samples, dtype=np.float64)
    if weights.shape != shares.shape:
        raise FaultError(f"pooled_rate: there are {shares.size} shares and {weights.size} samples")
    if not shares.size or not np.isfinite(shares).all():
        return NOTHING
    if not are_shares(shares):
        raise FaultError(
            f"pooled_rate: shares are from 0 to 1, not {shares.min()} to {shares.max()}"
        )
    total, trials = float(weights.sum()), shares.size
    rate = min(1.0, float(weights @ shares) / total)
    squares = float(((weights * (shares - rate)) ** 2).sum())
    variance = squares / total**2 * trials / max(trials - 1, 1)
    return rate_interval(rate, variance, trials - 1, trials, confidence)


def rate_interval(
    rate: float, variance: float, degrees: float, outcomes: float, confidence: float
) -> Interval:
    """Wilson's interval with as many outcomes as explain the variance of an estimated rate.

    Args:
        rate: The estimate.
        variance: Of the estimate.
        degrees: Of freedom, with which the variance is known.
        outcomes: How many independent ones there are where the variance does not say: rate 0 or 1, or variance 0.
        confidence: Of the interval.
    """
    binomial = rate * (1.0 - rate)
    if binomial > 0.0 and variance > 0.0:
        quantile = student_quantile(confidence, max(degrees, 1.0))
        low, high = wilson_ends(rate, binomial / variance, quantile)
    else:
        low, high = wilson_ends(rate, outcomes, normal_quantile(confidence))
    return Interval(rate, min(low, rate), max(high, rate))


def trial_mean(values: npt.NDArray[np.float64], confidence: float) -> Interval:
    """The mean over trials: :func:`pooled_rate` where all values are shares, else with a Student interval.

    All three numbers are NaN where there is no value or one is not finite.
    """
    if not values.size or not np.isfinite(values).all():
        return NOTHING
    if are_shares(values):
        return pooled_rate(values, confidence=confidence)
    degrees = max(values.size - 1, 1)
    error = math.sqrt(float(values.var()) / degrees)
    return student_interval(float(values.mean()), error, degrees, confidence)


def student_interval(mean: float, error: float, degrees: float, confidence: float) -> Interval:
    """A mean, more and less its standard error times the quantile of Student's t."""
    half = student_quantile(confidence, max(degrees, 1.0)) * error if error else 0.0
    return Interval(mean, mean - half, mean + half)


def are_shares(values: npt.NDArray[np.float64]) -> bool:
    """Whether all values are within 0 and 1."""
    return bool(((values >= 0.0) & (values <= 1.0)).all())
