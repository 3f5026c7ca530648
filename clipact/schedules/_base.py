"""What every schedule is: a value that depends on the step and on nothing else."""

import math
from abc import ABC, abstractmethod
from dataclasses import fields

from clipact.errors import ScheduleError


class Schedule(ABC):
    """A pure function of the step; any ``Callable[[int], float]`` serves as one.

    Ours are frozen dataclasses: they compare equal when their arguments do, and print as the call that makes them.
    """

    @abstractmethod
    def __call__(self, step: int) -> float:
        """The value at this step, from 0; a step below 0 counts as 0."""

    def __repr__(self) -> str:
        arguments = ", ".join(repr(getattr(self, field.name)) for field in fields(self))  # pyright: ignore[reportArgumentType] - each subclass is a dataclass
        return f"{type(self).__name__.lower().lstrip('_')}({arguments})"


def check_value(schedule: str, name: str, value: float) -> None:
    """Refuse a value that no schedule can pass through.

    Raises:
        ScheduleError: It is NaN or infinite.
    """
    if not math.isfinite(value):
        raise ScheduleError(f"{schedule}() got {name}={value}; give a finite number")


def check_steps(schedule: str, steps: int) -> None:
    """Refuse a number of steps in which nothing can happen.

    Raises:
        ScheduleError: It is not a positive integer.
    """
    if steps % 1 != 0 or steps < 1:
        raise ScheduleError(f"{schedule}() got steps={steps}; give a whole number of at least 1")
