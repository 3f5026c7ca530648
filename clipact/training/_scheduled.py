"""Values that follow a schedule instead of being trained."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Self, final

from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from clipact.errors import ScheduleError
from clipact.training._levels import Levels
from clipact.training._listed import listed

__all__ = ["Scheduled"]


@final
class Scheduled:
    """Keeps a value at ``schedule(step)``; the step is its only state.

    The value of step 0 is written at once, then that of the next at every :meth:`step`.

    Args:
        write: What to do with a value: :class:`Levels`, :class:`Slopes`, or any function of yours that takes it.
        schedule: From :mod:`clipact.schedules`, or any function from the step to a number.

    Attributes:
        schedule: The schedule.

    Raises:
        ScheduleError: The schedule gives NaN.

    Examples:
        >>> import torch
        >>> from clipact import schedules
        >>> from clipact.nn import HyReLU
        >>> from clipact.training import Slopes
        >>> act = HyReLU(6.0)
        >>> annealing = Scheduled(Slopes(act), schedules.exponential(5.0, 500.0, steps=2))
        >>> for _ in range(2):
        ...     annealing.step()
        >>> act
        HyReLU(threshold=6, slope=500)
    """

    def __init__(self, write: Callable[[float], None], schedule: Callable[[int], float]) -> None:
        self.schedule = schedule
        self._write = write
        self._step = 0
        self._handles: list[RemovableHandle] = []
        self._write_now()

    @property
    def value(self) -> float:
        """The value of the present step."""
        return self.schedule(self._step)

    def step(self) -> None:
        """Go to the next step and write its value.

        Raises:
            ScheduleError: The schedule gives NaN.
        """
        self._step += 1
        self._write_now()

    def attach(self, optimizer: Optimizer) -> Self:
        """Step after every ``step()`` of this optimizer, until :meth:`close`.

        Args:
            optimizer: The one that trains the rest of the model.

        Returns:
            The object itself.

        Raises:
            ScheduleError: It also trains a threshold that follows the schedule, now or at a later step; or the schedule is
                attached already, and would go two steps at a time.
        """
        if self._handles:
            raise ScheduleError(
                f"{self} is attached to an optimizer already, and would go two steps at a time; close() it first"
            )
        self.check(optimizer)

        def hook(optimizer: Optimizer, *_: Any) -> None:
            self.check(optimizer)
            self.step()

        self._handles.append(optimizer.register_step_post_hook(hook))
        return self

    def check(self, optimizer: Optimizer) -> None:
        """Refuse an optimizer that trains what the schedule overwrites.

        Raises:
            ScheduleError: It has a threshold of the :class:`Levels` that requires gradients.
        """
        if not isinstance(self._write, Levels):
            return
        open_to_training = {
            name: each for name, each in self._write.thresholds.items() if each.requires_grad
        }
        if not open_to_training:
            return
        trained = {id(each) for group in optimizer.param_groups for each in group["params"]}
        both = [name for name, each in open_to_training.items() if id(each) in trained]
        if both:
            raise ScheduleError(
                f"{listed(both)} follows a schedule, which would undo what the optimizer does to it; "
                "take it out of the optimizer, or set its requires_grad to False"
            )

    def close(self) -> None:
        """Detach from optimizers; values stay as they are."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def state_dict(self) -> dict[str, Any]:
        """The step."""
        return {"step": self._step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on at the step of a :meth:`state_dict`, and write its value.

        Raises:
            ScheduleError: :class:`Levels` that multiply were made of thresholds that had been multiplied before.
        """
        step = int(state["step"])
        if isinstance(self._write, Levels):
            self._write.check_resumed(self.schedule(step))
        self._step = step
        self._write_now()

    def _write_now(self) -> None:
        if math.isnan(self.value):
            raise ScheduleError(f"{self.schedule} gives NaN at step {self._step}")
        self._write(self.value)

    def __repr__(self) -> str:
        return f"Scheduled({self.schedule}, step {self._step}, value {self.value:g})"
