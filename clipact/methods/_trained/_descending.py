"""All thresholds at once, epoch after epoch."""

import time
from collections.abc import Sequence
from typing import Any, final

from torch import Tensor, nn

from clipact._progress import Progress
from clipact.errors import TrainingError
from clipact.methods._history import History
from clipact.methods._slopes import Slope
from clipact.methods._trained._ladder import put, values_of
from clipact.methods._trained._relative import mean_scale, mean_square_relative
from clipact.methods._trained._session import Session
from clipact.training import Descent, Objective
from clipact.training._checkpoint import CheckpointFile
from clipact.training._fit import Epoch, Lesson, fit
from clipact.training._forwards import Forwards
from clipact.training._objective import Penalty

__all__ = ["Descending"]


@final
class Descending:
    """Trains all thresholds of a session at once, with a row of history an epoch.

    Args:
        session: The model with its activations and data.
        slope: How the activations fall.
        progress: Advances by one an epoch.
    """

    def __init__(self, session: Session, slope: Slope, progress: Progress) -> None:
        self._session, self._slope, self._progress = session, slope, progress
        self._thresholds: list[nn.Parameter] = list(session.thresholds.values())
        self._starts = values_of(self._thresholds)
        self._judge = Forwards(session.model, session.sets.validate)

    def __call__(
        self, objective: Objective, descent: Descent, seed: int, file: CheckpointFile
    ) -> History:
        """Train.

        Args:
            objective: The loss; its penalty is on the thresholds relative to where they start.
            descent: How the thresholds move.
            seed: Of the order of the batches.
            file: Written after every epoch, and gone on from.

        Raises:
            TrainingError: The loss or a threshold is NaN or infinite, or the file is that of another training.
        """
        earlier = file.load()
        history = History([] if earlier is None else earlier["history"])
        if earlier is not None:
            put(self._thresholds, earlier["thresholds"])
        began = time.monotonic() - (history[-1]["seconds"] if history else 0.0)

        def after(epoch: Epoch) -> bool:
            history.append(self._row(epoch, time.monotonic() - began))
            self._anneal(epoch.number / descent.total)
            state = {"thresholds": values_of(self._thresholds), "history": list(history)}
            file.save({**state, "fit": epoch.state()})
            self._progress.advance(1, {"accuracy": f"{history[-1]['accuracy']:.1%}"})
            return False

        train = Forwards(self._session.model, self._session.sets.train)
        lesson = Lesson(train, None, objective, _relative_to(self._starts), seed)
        self._anneal(len(history) / descent.total if descent.total else 1.0)
        self._progress.done = len(history)
        try:
            with self._progress:
                fit(lesson, self._thresholds, descent, after, earlier and earlier["fit"])
        except TrainingError as error:
            raise TrainingError(
                f"FitAct: {error}; the model was restored. Lower the learning rate, or look for NaN in the data"
            ) from None
        finally:
            self._anneal(1.0)
        return history

    def _row(self, epoch: Epoch, seconds: float) -> dict[str, Any]:
        self._anneal(1.0)
        return {
            "epoch": epoch.number,
            "loss": epoch.loss,
            "accuracy": self._judge.right() / self._judge.samples,
            "scale": mean_scale(self._thresholds, self._starts),
            "seconds": seconds,
        }

    def _anneal(self, done: float) -> None:
        self._slope.anneal(self._session.activations.values(), done)


def _relative_to(starts: Sequence[Tensor]) -> Penalty:
    return lambda thresholds: mean_square_relative(thresholds, starts)
