"""How many trials make a task."""

from typing import final

from clipact.faults._running._spec import Outcome

_SECONDS = 2.0  # of a task: long against checking and storing it, short against losing it
_MOST = 1000


@final
class Pace:
    """Sizes tasks by the time that trials take.

    Args:
        seconds: A first guess for a trial.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = max(seconds, 1e-6)

    @property
    def size(self) -> int:
        """Trials of the next task."""
        return min(max(round(_SECONDS / self._seconds), 1), _MOST)

    def add(self, outcome: Outcome) -> None:
        """Learn from a finished task."""
        if outcome.trials:
            mean = sum(trial.seconds for trial in outcome.trials) / len(outcome.trials)
            self._seconds = max(0.5 * (self._seconds + mean), 1e-6)
