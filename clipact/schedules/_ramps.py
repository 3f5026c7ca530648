r"""Schedules that go from one value to another in a number of steps, and stay there.

With :math:`u = \min(\max(t, 0), n) / n` at step :math:`t` of :math:`n`, from :math:`a` to :math:`b`:

* linear: :math:`a + u (b - a)`
* cosine: :math:`b + (a - b) (1 + \cos \pi u) / 2`, flat at both ends
* exponential: :math:`a (b / a)^u`, the same factor at every step
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import final

from clipact.errors import ScheduleError
from clipact.schedules._base import Schedule, check_steps, check_value


@dataclass(frozen=True, repr=False)
class _Ramp(Schedule):
    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        name = type(self).__name__.lower().lstrip("_")
        check_value(name, "start", self.start)
        check_value(name, "end", self.end)
        check_steps(name, self.steps)

    def __call__(self, step: int) -> float:
        if step <= 0:
            return self.start
        if step >= self.steps:
            return self.end
        return self._between(step / self.steps)

    @abstractmethod
    def _between(self, part: float) -> float:
        """The value after this part of the way."""


@final
class _Linear(_Ramp):
    def _between(self, part: float) -> float:
        return self.start + part * (self.end - self.start)


@final
class _Cosine(_Ramp):
    def _between(self, part: float) -> float:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * part)) / 2


@final
class _Exponential(_Ramp):
    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self._ratio() < math.inf:
            raise ScheduleError(
                f"exponential() cannot go from {self.start} to {self.end}; "
                "both must be above 0, or both below (linear() reaches 0)"
            )

    def _between(self, part: float) -> float:
        return self.start * self._ratio() ** part

    def _ratio(self) -> float:
        return self.end / self.start if self.start else 0.0


def linear(start: float, end: float, steps: int) -> Schedule:
    """From ``start`` to ``end`` along a line in ``steps`` steps, then ``end``.

    Args:
        start: Value at step 0.
        end: Value from step ``steps`` on.
        steps: At least 1.

    Raises:
        ScheduleError: A value is not finite, or ``steps`` is not a positive integer.

    Examples:
        >>> schedule = linear(1.0, 0.0, steps=4)
        >>> [schedule(step) for step in range(6)]
        [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """
    return _Linear(float(start), float(end), steps)


def cosine(start: float, end: float, steps: int) -> Schedule:
    """From ``start`` to ``end`` along half a cosine in ``steps`` steps, then ``end``; slow at both ends.

    Args:
        start: Value at step 0.
        end: Value from step ``steps`` on.
        steps: At least 1.

    Raises:
        ScheduleError: A value is not finite, or ``steps`` is not a positive integer.

    Examples:
        >>> round(cosine(1.0, 0.0, steps=4)(1), 4)
        0.8536
    """
    return _Cosine(float(start), float(end), steps)


def exponential(start: float, end: float, steps: int) -> Schedule:
    """From ``start`` to ``end`` by the same factor at every step, then ``end``; for slopes and rates.

    Args:
        start: Value at step 0, not 0.
        end: Value from step ``steps`` on, of the same sign.
        steps: At least 1.

    Raises:
        ScheduleError: A value is not finite, 0 lies between the two, or ``steps`` is not a positive integer.

    Examples:
        >>> schedule = exponential(5.0, 500.0, steps=2)
        >>> [schedule(step) for step in range(4)]
        [5.0, 50.0, 500.0, 500.0]
    """
    return _Exponential(float(start), float(end), steps)
