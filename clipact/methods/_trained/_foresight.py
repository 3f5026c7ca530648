"""Whether the rest of an attempt can still change its outcome."""

from typing import TYPE_CHECKING, final

import torch

from clipact.training._forwards import Forwards

if TYPE_CHECKING:
    from clipact.methods._trained._ladder import Bar, Rung

__all__ = ["Foresight"]


@final
class Foresight:
    """Looks ahead after each epoch; see :class:`~clipact.methods.Early`.

    Args:
        rung: Stage and decay.
        judge: The model with the held-out data.
        bar: What it has to reach there.
        steps: Steps an epoch.

    Attributes:
        hopeless: Whether the attempt was given up.
    """

    def __init__(self, rung: "Rung", judge: Forwards, bar: "Bar", steps: int) -> None:
        self.hopeless = False
        self._rung, self._judge, self._bar, self._steps = rung, judge, bar, steps

    def ends(self, epochs: int) -> bool:
        """Whether the attempt may end after so many epochs."""
        early = self._rung.early
        if early is None or epochs == self._rung.descent.total:
            return False
        shrink, path = self._rung.descent.reach(epochs * self._steps, self._steps)
        if self._settled(early.settled, shrink, path):
            return True
        if early.hopeless and not self._bar.passes(self._judge.right()):
            self.hopeless = not self._bar.passes(self._highest(shrink, path))
        return self.hopeless

    def _settled(self, share: float, shrink: float, path: float) -> bool:
        thresholds = self._rung.stage.parameters()
        total = sum(float(threshold.detach().abs().sum()) for threshold in thresholds)
        size = sum(threshold.numel() for threshold in thresholds)
        return (1 - shrink) * total + path * size <= share * total

    def _highest(self, shrink: float, path: float) -> int:
        """Correct samples with the highest thresholds within reach."""
        thresholds = self._rung.stage.parameters()
        now = [threshold.detach().clone() for threshold in thresholds]
        try:
            with torch.no_grad():
                for threshold in thresholds:
                    threshold.mul_(shrink).add_(path)
            return self._judge.right()
        finally:
            with torch.no_grad():
                for threshold, value in zip(thresholds, now, strict=True):
                    threshold.copy_(value)
