"""Whether samples by themselves may stand for samples computed together."""

from typing import Final, final

__all__ = ["Trust"]

_TRIES: Final = 3


@final
class Trust:
    """Earned by the first forwards that went on with fewer samples, and lost by the first that differed.

    Attributes:
        problem: What it was lost by; None while it is not.
    """

    def __init__(self) -> None:
        self.problem: str | None = None
        self._left = _TRIES

    @property
    def earned(self) -> bool:
        """Whether forwards need not be compared with those of all samples any more."""
        return self._left <= 0

    def gain(self) -> None:
        """A forward had the outputs of one of all samples."""
        self._left -= 1

    def lose(self, problem: str) -> None:
        """A forward had others."""
        self.problem = problem
