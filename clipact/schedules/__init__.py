"""Values that change with the step: pure functions of it, so that the step is their only state."""

from clipact.schedules._base import Schedule
from clipact.schedules._constant import constant
from clipact.schedules._join import join
from clipact.schedules._ramps import cosine, exponential, linear

__all__ = ["Schedule", "constant", "cosine", "exponential", "join", "linear"]
