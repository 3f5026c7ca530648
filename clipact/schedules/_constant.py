"""A schedule that stays where it is."""

import math
from dataclasses import dataclass
from typing import final

from clipact.errors import ScheduleError
from clipact.schedules._base import Schedule


@final
@dataclass(frozen=True, repr=False)
class _Constant(Schedule):
    value: float

    def __post_init__(self) -> None:
        if math.isnan(self.value):
            raise ScheduleError("constant() got NaN; give a number, or infinity for no limit")

    def __call__(self, step: int) -> float:
        del step
        return self.value


def constant(value: float) -> Schedule:
    """The same value at every step; infinity means no limit.

    Args:
        value: Any number but NaN.

    Raises:
        ScheduleError: It is NaN.

    Examples:
        >>> constant(6.0)(1000)
        6.0
    """
    return _Constant(float(value))
