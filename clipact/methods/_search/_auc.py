"""The area under accuracy over fault rates, known between bounds that close as draws are measured."""

from collections.abc import Callable
from typing import final

from clipact.methods._search._trials import Cell, FaultyAccuracy


def _never(_: "Candidate") -> bool:
    return False


@final
class Candidate:
    """One value of a threshold, and what is known of its area so far.

    With the same number of draws at every rate, and every rate of equal weight, the area under the mean accuracy is the
    mean over all draws. Accuracy lies between 0 and 1, so after some draws the mean over all lies between
    :attr:`least` and :attr:`most`, whatever the others give.

    Args:
        scale: The value.
        apply: Puts it into the model.
        faulty: Measures draws.
    """

    def __init__(
        self, scale: float, apply: Callable[[float], None], faulty: FaultyAccuracy
    ) -> None:
        self.scale = scale
        self._apply, self._faulty = apply, faulty
        self._correct: list[int] = []
        self._without: int | None = None

    @property
    def measured(self) -> int:
        """How many draws were measured."""
        return len(self._correct)

    @property
    def least(self) -> float:
        """The area if every other draw gives 0."""
        return sum(self._correct) / (len(self._faulty.cells) * self._faulty.samples)

    @property
    def most(self) -> float:
        """The area if every other draw gives 1."""
        left = len(self._faulty.cells) - self.measured
        best = sum(self._correct) + left * self._faulty.samples
        return best / (len(self._faulty.cells) * self._faulty.samples)

    @property
    def is_known(self) -> bool:
        """Whether every draw was measured."""
        return self.measured == len(self._faulty.cells)

    def measure(self, losing: "Callable[[Candidate], bool]" = _never) -> None:
        """Measure draws until all are, or until it is certain that the candidate loses."""
        self._apply(self.scale)
        while not self.is_known and not losing(self):
            self._correct.append(self._measured(self._faulty.cells[self.measured]))

    def elsewhere(self, apply: Callable[[float], None]) -> "Candidate":
        """The same model as the upper end of another site's interval, so that nothing is measured twice."""
        same = Candidate(1.0, apply, self._faulty)
        same._correct, same._without = list(self._correct), self._without
        return same

    def _measured(self, cell: Cell) -> int:
        if self._without is not None and self._faulty.is_empty(cell):
            return self._without
        found = self._faulty.correct(cell)
        if self._faulty.is_empty(cell):
            self._without = found
        return found
