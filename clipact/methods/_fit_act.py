"""FitAct: a threshold for every neuron, all trained at once."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

from torch import nn

from clipact._progress import Progress
from clipact.calibration import Batches, Granularity
from clipact.methods._base import Method, Scope
from clipact.methods._bounds import Bounds
from clipact.methods._checked import check_fields
from clipact.methods._slopes import AbsoluteSlope, Slope
from clipact.methods._trained._data import read_sets
from clipact.methods._trained._descending import Descending
from clipact.methods._trained._identity import identity_of, settings_of, sites_of
from clipact.methods._trained._install import Layout
from clipact.methods._trained._session import training_session
from clipact.surgery import Receipt
from clipact.training._checkpoint import CheckpointFile
from clipact.training._descent import Descent
from clipact.training._objective import Objective

__all__ = ["FitAct"]

_DESCENT: Final = Descent(rate=1e-3, epochs=100, decay=4e-11, decoupled=False)
_SLOPE: Final = AbsoluteSlope()


@final
@dataclass(frozen=True)
class FitAct(Method):
    r"""Smooth clipped ReLUs with a threshold a neuron, started at the profiled maxima and trained all at once.

    The loss is the cross-entropy plus ``penalty`` times the mean over the layers of :math:`\overline{T^2} /
    \overline{T_0^2}`, with the profiled maxima :math:`T_0`. Weights, biases and normalisation stand still. The
    held-out data is only looked at, for the history: accuracy is no constraint.

    The receipt's ``history`` has a row an epoch. Afterwards the activations are smooth; :func:`clipact.harden_` gives
    them the form to deploy. If anything is raised, Ctrl-C included, the model is restored bit for bit; with a
    ``checkpoint`` the same call goes on after the last epoch that was done, and gives the same bits as a run that was
    never stopped.

    Attributes:
        penalty: Weight of the mean squared threshold.
        descent: Learning rate and epochs.
        granularity: One threshold a ``"neuron"``, ``"channel"`` or ``"layer"``.
        slope: How steeply activations fall.
        output_guard: Also map a logit outside its profiled range to its class minimum.
        guard_margin: Factor on that range.
        seed: Of the order of the batches.
        checkpoint: File that is written after every epoch, and read when it is there. Going on takes the same data in the
            same batches: no loader that shuffles without a seed.

    Note:
        The paper adds :math:`\zeta \sum_l \overline{T_l^2}` over the layers :math:`l`, a term that grows with the
        square of the activations and with the number of layers, so that its weight means something else for each
        model. Here each layer counts relative to where it starts: ``penalty``
        :math:`= \zeta \sum_l \overline{T_{0,l}^2}` gives the same value at the start. The weight of the authors' code,
        :math:`\zeta` = 4e-11, is some 1e-9 in these terms, which moves next to nothing. The training data is gone through
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
    checkpoint: Path | str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_fields(self)
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
        settings = settings_of(self, "checkpoint")
        identity = {} if self.checkpoint is None else identity_of(model, sets, settings, None)
        with training_session(model, sets, scope, layout) as session:
            run = Descending(
                session, self.slope, Progress("FitAct", self.descent.total, scope.progress)
            )
            file = CheckpointFile(self.checkpoint, identity | {"sites": sites_of(session.receipt)})
            session.receipt.history = run(self._objective(), self.descent, int(self.seed), file)
        return session.receipt

    def _objective(self) -> Objective:
        return Objective(labels=1.0, teacher=0.0, penalty=self.penalty)
