"""Stage after stage, decay after decay."""

from collections.abc import Sequence
from typing import Protocol, final

from torch import Tensor, nn

from clipact._progress import Progress
from clipact.errors import TrainingError
from clipact.methods._history import History
from clipact.methods._slopes import Slope
from clipact.methods._trained._ladder import Attempt, Bar, Rung, try_decay
from clipact.methods._trained._session import Session
from clipact.training import Stage, progressive
from clipact.training._descent import Descent
from clipact.training._fit import Epoch, Lesson
from clipact.training._forwards import Forwards
from clipact.training._objective import Objective, mean_square
from clipact.training._prefix import Memory, prefix_of

__all__ = ["Rules", "Stages"]


class Rules(Protocol):
    """What stages are trained by; see :class:`clipact.methods.ProAct`."""

    @property
    def decays(self) -> tuple[float, ...]: ...
    @property
    def scalar(self) -> Descent: ...
    @property
    def vector(self) -> Descent: ...
    @property
    def objective(self) -> Objective: ...
    @property
    def slope(self) -> Slope: ...
    @property
    def seed(self) -> int: ...
    @property
    def cache(self) -> int: ...


@final
class Stages:
    """Trains the thresholds of a session, one stage at a time.

    Args:
        rules: Decays, rates, loss.
        session: The model with its activations and data.
        teacher: The teacher's logits of the training data, one tensor a batch.
        allowed: How many held-out samples may be lost.
    """

    def __init__(
        self, rules: Rules, session: Session, teacher: Sequence[Tensor] | None, allowed: int
    ) -> None:
        self._rules, self._session, self._teacher = rules, session, teacher
        judge = Forwards(session.model, session.sets.validate)
        self._bar = Bar(judge.right(), allowed, judge.samples)
        progression = progressive(session.thresholds)
        progression.close()  # one stage at a time asks for gradients, so that nothing below it is differentiated
        self._stages = progression.stages

    def run(self, *, show: bool) -> History:
        """Train all stages.

        Raises:
            TrainingError: The loss is NaN or infinite in a stage.
        """
        history = History()
        total = sum(self._descent(stage).total for stage in self._stages)
        with Progress("ProAct", total, show) as progress:
            for stage in self._stages:
                history.extend(attempt.row() for attempt in self._stage(stage, progress))
        return history

    def _stage(self, stage: Stage, progress: Progress) -> list[Attempt]:
        session = self._session
        with prefix_of(session.model, stage.parameters(), self._rules.cache) as prefix:
            train = Forwards(session.model, session.sets.train, Memory(prefix))
            judge = Forwards(session.model, session.sets.validate, Memory(prefix))
            return self._decays(stage, (train, judge), progress)

    def _decays(
        self, stage: Stage, forwards: tuple[Forwards, Forwards], progress: Progress
    ) -> list[Attempt]:
        train, judge = forwards
        lesson = Lesson(
            train,
            self._teacher,
            self._rules.objective,
            mean_square,
            self._rules.seed + stage.index,
        )
        attempts: list[Attempt] = []

        def after(_epoch: Epoch) -> bool:
            if not attempts:
                progress.advance(1, {"at": stage})
            return False

        for decay in self._rules.decays:
            rung = self._rung(stage, decay)
            try:
                attempts.append(try_decay(rung, lesson, judge, self._bar, after))
            except TrainingError as error:
                raise TrainingError(
                    f"{stage} at decay {decay:g}: {error}; the stage and the model were restored. Lower the learning rate, or look"
                    " for NaN in the data"
                ) from None
            if attempts[-1].accepted:
                break
        return attempts

    def _rung(self, stage: Stage, decay: float) -> Rung:
        activations: list[nn.Module] = [self._session.activations[name] for name in stage.names]
        descent = self._descent(stage).with_decay(decay)
        return Rung(stage, activations, descent, self._rules.slope)

    def _descent(self, stage: Stage) -> Descent:
        alone = all(threshold.numel() == 1 for threshold in stage.parameters())
        return self._rules.scalar if alone else self._rules.vector
