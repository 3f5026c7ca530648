"""Schedules one after the other."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import final

from clipact.errors import ScheduleError
from clipact.schedules._base import Schedule


@final
@dataclass(frozen=True, repr=False)
class _Join(Schedule):
    schedules: tuple[Callable[[int], float], ...]
    boundaries: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.schedules) != len(self.boundaries) + 1:
            raise ScheduleError(
                f"join() got {len(self.schedules)} schedules and {len(self.boundaries)} boundaries; "
                "give one boundary between each two schedules"
            )
        ends = [0, *self.boundaries]
        if any(later % 1 != 0 or later <= earlier for earlier, later in pairwise(ends)):
            raise ScheduleError(
                f"join() got boundaries {list(self.boundaries)}; give whole numbers above 0, each above the one before"
            )

    def __call__(self, step: int) -> float:
        which = bisect_right(self.boundaries, step)
        return self.schedules[which](step - (self.boundaries[which - 1] if which else 0))


def join(schedules: Sequence[Callable[[int], float]], boundaries: Sequence[int]) -> Schedule:
    """One schedule after the other; each counts its steps from the boundary at which it begins.

    Args:
        schedules: Two or more, or any functions of the step.
        boundaries: The steps at which the second, third, … begin.

    Raises:
        ScheduleError: The boundaries are not one fewer than the schedules, not positive, or not increasing.

    Examples:
        >>> from clipact.schedules import constant, linear
        >>> schedule = join([constant(1.0), linear(1.0, 0.0, steps=2)], boundaries=[3])
        >>> [schedule(step) for step in range(6)]
        [1.0, 1.0, 1.0, 1.0, 0.5, 0.0]
    """
    return _Join(tuple(schedules), tuple(boundaries))
