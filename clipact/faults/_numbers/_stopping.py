"""When it is enough: a campaign ends once its estimate is precise."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from clipact.errors import FaultError
from clipact.faults._numbers._statistics import check_confidence
from clipact.faults._results._kept import Integers, Numbers
from clipact.faults._sampling import Sampler
from clipact.faults._streams import is_integer

_GROWTH: Final = 1.1
_IN_A_ROW: Final = 2


@final
@dataclass(frozen=True, kw_only=True)
class Precision:
    """Ends the trials of a fault model when the interval of a metric is narrow enough.

    The estimate is looked at after ``minimum`` trials, then each time there are ``every`` more, and at least a tenth more;
    it is enough when two looks in a row find the interval narrow. Only the first trials in the order of the campaign
    count, not those that happen to be done, so that the decision is the same on any number of workers and after a restart.

    Who looks often and stops when an interval is narrow stops more often where it is too narrow by chance, so the interval
    covers the truth less often than it says. Two looks in a row, few looks, and intervals that do not collapse when
    nothing was seen keep that to a few points in a hundred, as ``benchmarks/intervals.py`` measures. What no rule mends is a metric
    that hangs on rare trials: let ``minimum`` be ten times the number of trials in which one of them is expected.

    Args:
        metric: Which one.
        half_width: Half the width that the interval may have.
        confidence: Of the interval.
        minimum: Trials before the first look.
        every: Trials between looks, at least.

    Raises:
        FaultError: An argument is out of range.

    Examples:
        >>> from itertools import islice
        >>> list(islice(Precision(half_width=0.02).looks(), 3))
        [100, 150, 200]
    """

    metric: str = "sdc"
    half_width: float = 0.01
    confidence: float = 0.95
    minimum: int = 100
    every: int = 50

    def __post_init__(self) -> None:
        check_confidence(self.confidence)
        width: Any = self.half_width
        if not isinstance(width, int | float) or not 0.0 < width < math.inf:
            raise FaultError(f"Precision(half_width={width!r}): give a number above 0")
        for what, value in (("minimum", self.minimum), ("every", self.every)):
            if not is_integer(value) or value < 1:
                raise FaultError(f"Precision({what}={value!r}): give an integer from 1")

    def looks(self) -> Iterator[int]:
        """After how many trials the estimate is looked at."""
        look = self.minimum
        while True:
            yield look
            look = max(look + self.every, math.ceil(look * _GROWTH))


@final
class Watch:
    """Looks at one fault model's trials as they come, each look once, and says when they are enough.

    Args:
        stop: When they are.
        sampler: Makes the estimate.
    """

    def __init__(self, stop: Precision, sampler: Sampler) -> None:
        self._stop, self._sampler = stop, sampler
        self._looks = stop.looks()
        self._next, self._narrow = next(self._looks), 0

    def is_due(self, trials: int) -> bool:
        """Whether there are trials enough for the next look."""
        return trials >= self._next

    def enough(self, planned: Integers, trials: Integers, values: Numbers) -> Integers | None:
        """The trials that are enough, in the order of the campaign; None if they are not.

        Args:
            planned: All trials, in the order of the campaign, as :meth:`Sampler.plan` gives them.
            trials: Those that are done, in any order; those from the last time are among them, and not fewer.
            values: The metric of each. What comes after the first planned trial that is not done does not matter.
        """
        if not self.is_due(trials.size):
            return None
        order = np.argsort(trials)
        places = np.minimum(np.searchsorted(trials, planned, sorter=order), trials.size - 1)
        found = order[places]
        is_missing = trials[found] != planned
        length = int(np.argmax(is_missing)) if is_missing.any() else planned.size
        return self._look(planned[:length], values[found[:length]])

    def _look(self, trials: Integers, values: Numbers) -> Integers | None:
        while self.is_due(trials.size):
            look = self._next
            found = self._sampler.estimate(trials[:look], values[:look], self._stop.confidence)
            is_narrow = (found.high - found.low) / 2.0 <= self._stop.half_width  # not for NaN
            self._narrow = self._narrow + 1 if is_narrow else 0
            if self._narrow == _IN_A_ROW:
                return trials[:look]
            self._next = next(self._looks)
        return None
