"""Stage after stage, decay after decay."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import final

from torch import Tensor

from clipact._progress import Progress
from clipact.errors import TrainingError
from clipact.methods._estimate import Estimate
from clipact.methods._history import History
from clipact.methods._trained._cost import Cost, measure
from clipact.methods._trained._ladder import Bar, Rung, put, try_decay
from clipact.methods._trained._ledger import Ledger
from clipact.methods._trained._rules import Rules
from clipact.methods._trained._session import Session
from clipact.methods._trained._share import Share
from clipact.methods._trained._tolerance import unused
from clipact.training import Stage, progressive
from clipact.training._fit import Lesson
from clipact.training._forwards import Forwards
from clipact.training._objective import mean_square
from clipact.training._prefix import Memory, prefix_of

__all__ = ["Stages"]

_LOGGER = logging.getLogger(__name__)


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
        self.stages = progression.stages

    def run(self, ledger: Ledger, *, show: bool) -> History:
        """Train the stages that are left.

        Args:
            ledger: What was done in an earlier run.
            show: Show a bar.

        Raises:
            TrainingError: The loss is NaN or infinite in a stage.
        """
        costs = self.costs() if show else [Cost.even(stage) for stage in self.stages]
        if show:
            _LOGGER.info("ProAct: %s", self.estimate(costs))
        shares = Share.of([cost.seconds for cost in costs])
        done = sum(shares[: ledger.stage])
        with Progress("ProAct", sum(shares), show, done) as progress:
            for stage in self.stages[ledger.stage :]:
                share = Share(progress, shares[stage.index], self._rules.descent(stage).total)
                self._stage(stage, ledger, share)
                share.finish()
        if hint := unused(ledger.history, self._bar, len(self._session.sets.train)):
            _LOGGER.warning("ProAct: %s", hint)
        return ledger.history

    def costs(self) -> list[Cost]:
        """What each stage will take, measured on one batch."""
        train = self._session.sets.train
        return [
            measure(
                self._session,
                stage,
                self._lesson(stage, Forwards(self._session.model, train[:1])),
                self._rules,
            )
            for stage in self.stages
        ]

    def estimate(self, costs: Sequence[Cost]) -> Estimate:
        """What all stages will take."""
        most = sum(cost.once + len(self._rules.decays) * cost.decay for cost in costs)
        return Estimate(len(costs), sum(cost.seconds for cost in costs), most)

    def _stage(self, stage: Stage, ledger: Ledger, share: Share) -> None:
        session = self._session
        with prefix_of(session.model, stage.parameters(), self._rules.cache) as prefix:
            train = Forwards(session.model, session.sets.train, Memory(prefix))
            judge = Forwards(session.model, session.sets.validate, Memory(prefix))
            self._decays(stage, (train, judge), ledger, share)
        if ledger.kept is not None:
            put(stage.parameters(), ledger.kept)
        ledger.next_stage(session.thresholds)

    def _decays(
        self, stage: Stage, forwards: tuple[Forwards, Forwards], ledger: Ledger, share: Share
    ) -> None:
        lesson = self._lesson(stage, forwards[0])
        for decay in self._rules.decays[ledger.tried :]:
            if ledger.kept is not None and self._rules.early is not None:
                return
            rung = self._rung(stage, decay)
            try:
                attempt, trained = try_decay(rung, lesson, forwards[1], self._bar, share.epoch)
            except TrainingError as error:
                raise TrainingError(
                    f"{stage} at decay {decay:g}: {error}. The stage was put back and the model restored; lower the learning rate,"
                    " or look for NaN in the data"
                ) from None
            if ledger.kept is not None:
                attempt = replace(attempt, accepted=False, why="a stronger decay is kept")
            ledger.write(attempt.row(), trained if attempt.accepted else None)
            ledger.save(self._session.thresholds)

    def _lesson(self, stage: Stage, train: Forwards) -> Lesson:
        rules = self._rules
        return Lesson(train, self._teacher, rules.objective, mean_square, rules.seed + stage.index)

    def _rung(self, stage: Stage, decay: float) -> Rung:
        rules = self._rules
        activations = [self._session.activations[name] for name in stage.names]
        descent = rules.descent(stage).with_decay(decay)
        return Rung(stage, activations, descent, rules.slope, rules.early)
