"""A stage's share of the bar."""

from collections.abc import Sequence
from typing import final

from clipact._progress import Progress
from clipact.training._fit import Epoch

__all__ = ["Share"]

_WHOLE = 1000


@final
class Share:
    """Advances a bar by a stage's share of it while the stage trains.

    Further decays of the stage do not advance it beyond the share, so that the bar stands still while they are tried.

    Args:
        progress: The bar.
        size: The share.
        epochs: Into so many parts.
    """

    def __init__(self, progress: Progress, size: int, epochs: int) -> None:
        self._progress, self._size, self._epochs = progress, size, max(epochs, 1)
        self._done = 0

    @staticmethod
    def of(seconds: Sequence[float]) -> list[int]:
        """Shares of stages that take so long, in thousandths of the whole."""
        total = sum(seconds)
        return [max(round(_WHOLE * each / total), 1) if total > 0 else 1 for each in seconds]

    def epoch(self, epoch: Epoch) -> None:
        """An epoch is over."""
        self._to(self._size * epoch.number // self._epochs, f"{epoch.loss:.4g}")

    def finish(self) -> None:
        """The stage is over."""
        self._to(self._size, None)

    def _to(self, done: int, loss: str | None) -> None:
        steps = max(done - self._done, 0)
        self._done += steps
        self._progress.advance(steps, None if loss is None else {"loss": loss})
