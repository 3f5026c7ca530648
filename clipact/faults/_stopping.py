"""When there are trials enough."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import final

import numpy as np

from clipact.errors import FaultError
from clipact.faults._hits import Indices, Numbers
from clipact.faults._sampling import Sampler
from clipact.faults._streams import is_integer


@final
@dataclass(frozen=True, kw_only=True)
class Precision:
    """Stop when the interval of a metric's mean is narrow enough.

    Trials are looked at in the order of their numbers, after ``minimum`` and then after every ``every`` of them, so that
    the end does not depend on which worker was quicker. Looking often and stopping at the first narrow interval makes it
    cover the truth a little less often than it says; a larger ``minimum`` helps most.

    Args:
        metric: Whose mean.
        half_width: How wide half the interval may be.
        confidence: Of the interval, between 0 and 1.
        minimum: Trials before the first look.
        every: Trials between looks.

    Raises:
        FaultError: An argument is out of range.

    Examples:
        >>> Precision(half_width=0.05).done(np.arange(1000), np.zeros(1000))
        100
    """

    metric: str = "sdc"
    half_width: float = 0.01
    confidence: float = 0.95
    minimum: int = 100
    every: int = 50

    def __post_init__(self) -> None:
        if not self.half_width > 0.0 or not 0.0 < self.confidence < 1.0:
            raise FaultError(f"{self}: give a half width above 0 and a confidence between 0 and 1")
        for value in (self.minimum, self.every):
            if not is_integer(value) or value < 1:
                raise FaultError(f"{self}: minimum and every are whole numbers of at least 1")

    def done(self, trials: Indices, values: Numbers, sampler: Sampler | None = None) -> int | None:
        """How many of the first trials are enough; None if more are needed.

        Args:
            trials: Numbers, rising.
            values: What they gave.
            sampler: Makes the estimate, where trials do not all count alike.
        """
        for size in range(self.minimum, trials.size + 1, self.every):
            if self._half(trials[:size], values[:size], sampler) <= self.half_width:
                return size
        return None

    def _half(self, trials: Indices, values: Numbers, sampler: Sampler | None) -> float:
        estimator = None if sampler is None else sampler.estimator
        if not bool(np.isfinite(values).all()):
            return math.inf
        if estimator is not None:
            found = estimator.estimate(trials, values, self.confidence)
            return math.inf if math.isnan(found.low) else (found.high - found.low) / 2.0
        return _half_width(values, self.confidence)


def _half_width(values: Numbers, confidence: float) -> float:
    """Of shares in Wilson's formula with the variance seen, so that equal values are not taken for certain; else normal."""
    n = values.size
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    square = float(values.var(ddof=1)) / n if n > 1 else math.inf
    if bool(((values >= 0.0) & (values <= 1.0)).all()):
        return z / (1.0 + z**2 / n) * math.sqrt(square + (z / (2.0 * n)) ** 2)
    return z * math.sqrt(square)
