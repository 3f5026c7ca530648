"""FitAct: a threshold for every neuron, all trained at once."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from torch import Tensor, nn

from clipact._progress import Progress
from clipact.calibration import Batches, Granularity
from clipact.errors import TrainingError
from clipact.methods._base import Method, Scope
from clipact.methods._bounds import Bounds
from clipact.methods._history import History
from clipact.methods._slopes import AbsoluteSlope, Slope
from clipact.methods._trained._data import read_sets
from clipact.methods._trained._install import Layout
from clipact.methods._trained._relative import mean_scale, mean_square_relative
from clipact.methods._trained._session import Session, training_session
from clipact.surgery import Receipt
from clipact.training._descent import Descent
from clipact.training._fit import Epoch, Lesson, fit
from clipact.training._forwards import Forwards
from clipact.training._objective import Objective, Penalty

__all__ = ["FitAct"]

_DESCENT: Final = Descent(rate=1e-3, epochs=100, decay=4e-11, decoupled=False)
_SLOPE: Final = AbsoluteSlope()


@final
@dataclass(frozen=True)
class FitAct(Method):
    r"""Smooth clipped ReLUs with a threshold a neuron, started at the profiled maxima and trained all at once.

    The loss is the cross-entropy plus ``penalty`` times the mean of :math:`(T/T_0)^2` over all thresholds, with the
    profiled maximum :math:`T_0` of each. Weights, biases and normalisation stand still. The held-out data is only
    looked at, for the history: accuracy is no constraint.

    The receipt's ``history`` has a row an epoch. Afterwards the activations are smooth; :func:`clipact.harden_` gives
    them the form to deploy. If anything is raised, Ctrl-C included, the model is restored bit for bit.

    Attributes:
        penalty: Weight of the mean squared threshold.
        descent: Learning rate and epochs.
        granularity: One threshold a ``"neuron"``, ``"channel"`` or ``"layer"``.
        slope: How steeply activations fall.
        output_guard: Also map a logit outside its profiled range to its class minimum.
        guard_margin: Factor on that range.
        seed: Of the order of the batches.

    Note:
        The paper adds :math:`\zeta \sum_l \overline{T_l^2}` over the layers :math:`l`, a term that grows with the
        square of the activations and with the number of layers, so that its weight means something else for each
        model. Here thresholds count relative to where they start: ``penalty``
        :math:`= \zeta \sum_l \overline{T_{0,l}^2}` has the same value at the start. The training data is gone through
        once and its batches are kept, in another order each epoch; augmentation is that of this one pass. Activations
        other than ReLU are zeroed outside their profiled range and not trained.

    References:
        Ghavami et al., *FitAct: Error Resilient Deep Neural Networks via Fine-Grained Post-Trainable Activation
        Functions*, DATE 2022.
    """

    penalty: float = 1e-3
    descent: Descent = _DESCENT
    granularity: Granularity | str = Granularity.NEURON
    slope: Slope = _SLOPE
    output_guard: bool = False
    guard_margin: float = 1.25
    seed: int = 0

    def __post_init__(self) -> None:
        Granularity(self.granularity)
        self._objective()
        Bounds(Granularity.NEURON, 100.0, self.guard_margin)

    def apply(
        self, model: nn.Module, train: Batches, validate: Batches | None, scope: Scope
    ) -> Receipt:
        """Profile, replace and train."""
        sets = read_sets("FitAct", train, validate)
        granularity = Granularity(self.granularity)
        guard = Bounds(Granularity.NEURON, 100.0, self.guard_margin) if self.output_guard else None
        layout = Layout(granularity, granularity, self.slope, guard)
        with training_session(model, sets, scope, layout) as session:
            session.receipt.history = self._train(session, scope)
        return session.receipt

    def _objective(self) -> Objective:
        return Objective(labels=1.0, teacher=0.0, penalty=self.penalty)

    def _train(self, session: Session, scope: Scope) -> History:
        thresholds = session.thresholds
        starts = [threshold.detach().clone() for threshold in thresholds.values()]
        train = Forwards(session.model, session.sets.train)
        judge = Forwards(session.model, session.sets.validate)
        lesson = Lesson(train, None, self._objective(), _relative_to(starts), self.seed)
        history = History()
        began = time.monotonic()
        with Progress("FitAct", self.descent.total, scope.progress) as progress:

            def after(epoch: Epoch) -> bool:
                self.slope.anneal(session.activations.values(), epoch.number / self.descent.total)
                accuracy = judge.right() / judge.samples
                scale = mean_scale(list(thresholds.values()), starts)
                history.append(_row(epoch, accuracy, scale, time.monotonic() - began))
                progress.advance(1, {"accuracy": f"{accuracy:.1%}", "loss": f"{epoch.loss:.4g}"})
                return False

            self.slope.anneal(session.activations.values(), 0.0)
            try:
                fit(lesson, list(thresholds.values()), self.descent, after)
            except TrainingError as error:
                raise TrainingError(
                    f"FitAct: {error}; the model was restored. Lower the learning rate, or look for NaN in the data"
                ) from None
            self.slope.anneal(session.activations.values(), 1.0)
        return history


def _row(epoch: Epoch, accuracy: float, scale: float, seconds: float) -> dict[str, Any]:
    return {
        "epoch": epoch.number,
        "loss": epoch.loss,
        "accuracy": accuracy,
        "scale": scale,
        "seconds": seconds,
    }


def _relative_to(starts: Sequence[Tensor]) -> Penalty:
    return lambda thresholds: mean_square_relative(thresholds, starts)
