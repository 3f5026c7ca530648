"""ProAct: hybrid thresholds, trained stage by stage from the last to the first."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

from torch import nn

from clipact.calibration import Batches, Granularity
from clipact.methods._base import Method, Scope
from clipact.methods._bounds import Bounds
from clipact.methods._checked import check_fields
from clipact.methods._early import Early
from clipact.methods._estimate import Estimate
from clipact.methods._slopes import AbsoluteSlope, Slope
from clipact.methods._trained._data import Sets, read_sets
from clipact.methods._trained._identity import identity_of, settings_of, sites_of
from clipact.methods._trained._install import Layout
from clipact.methods._trained._ledger import Ledger
from clipact.methods._trained._rules import Rules
from clipact.methods._trained._session import Session, training_session
from clipact.methods._trained._stages import Stages
from clipact.methods._trained._tolerance import check_tolerance, samples_allowed
from clipact.surgery import ACTIVATIONS, Receipt
from clipact.training import Descent, Objective
from clipact.training._checkpoint import CheckpointFile
from clipact.training._teacher import check_teacher, teacher_logits
from clipact.where import Where

__all__ = ["ProAct"]

_DECAYS: Final = tuple(float(f"4e-{exponent}") for exponent in range(1, 12))
_SCALAR: Final = Descent(rate=1e-2, epochs=10, warmup=5)
_VECTOR: Final = Descent(rate=1e-3, epochs=100, warmup=5)
_OBJECTIVE: Final = Objective()
_SLOPE: Final = AbsoluteSlope()
_EARLY: Final = Early()


@final
@dataclass(frozen=True)
class ProAct(Method):
    """Smooth clipped ReLUs, one threshold a layer and one a neuron in the last, trained one stage at a time.

    Thresholds start at the profiled maxima; the accuracy on the held-out data with these is what all others are
    measured by. Then, from the last ReLU to the first, one threshold trains while everything else stands still: with
    the strongest weight decay first, then weaker ones, until the accuracy is within the tolerance. If no decay keeps
    it, the threshold returns to where it was. The loss is that of
    :class:`~clipact.training.Objective`, with the model before protection as the teacher.

    The receipt's ``history`` has a row an attempt: stage, decay, accuracy, drop, whether it was accepted and why.
    Afterwards the activations are smooth; :func:`clipact.harden_` gives them the form to deploy.

    If anything is raised, Ctrl-C included, the model is restored bit for bit: there is no receipt to restore it with.
    What was accepted is in the ``checkpoint``, if there is one: the same call goes on from there, decay by decay, and
    gives the same bits as a run that was never stopped.

    Attributes:
        tolerance: Accuracy that may be lost on the held-out data, over all stages together: 0.015 is 1.5 points.
        decays: Weight decays, in the order in which they are tried; none leaves the thresholds at the maxima.
        scalar: How thresholds a layer move.
        vector: How thresholds a channel or neuron move.
        objective: Weights of the loss.
        teacher: Who gives the soft labels; the model itself, before it is protected, by default.
        granularity: Of all thresholds but the last.
        last: Of the last threshold in execution order.
        slope: How steeply activations fall.
        early: What is left out because it would hardly change the result; None for the whole procedure, in which every
            decay is tried and every attempt runs to its end.
        output_guard: Also map a logit outside its profiled range to its class minimum.
        guard_margin: Factor on that range.
        seed: Of the order of the batches.
        cache: Bytes for what the model computes before the stage at work, which is the same in every epoch and kept per
            batch; batches beyond it are computed in full. 0 for none. The thresholds are the same to the last bit; hooks
            of yours inside what is kept do not run again.
        checkpoint: File that is written after every decay, and read when it is there. Going on takes the same data in the
            same batches: no loader that shuffles without a seed.

    Note:
        Of the paper-time code only the procedure is kept, not its defects: a trained threshold is frozen, normalisation
        keeps its statistics, thresholds are selected on held-out data and not on the test set, the first decay within
        the tolerance ends the stage, and a step takes one pass of the model. The teacher's logits are computed once: the
        training data is gone through once and its batches are kept, in another order each epoch, so that
        augmentation is that of this one pass. Activations other than ReLU are zeroed outside their profiled range and
        not trained. See :class:`Early` for what is left out.

        A decay acts in each step. With few of them (large batches, little data) the strongest decay costs next to nothing,
        is kept at once, and leaves thresholds near the maxima: where every stage kept the first decay it tried and most of the
        tolerance is left, a warning in the log says so.

    References:
        Mousavi et al., *ProAct: Progressive Training for Hybrid Clipped Activation Function to Enhance Resilience of
        DNNs*, arXiv 2406.06313.
    """

    tolerance: float = 0.015
    decays: tuple[float, ...] = _DECAYS
    scalar: Descent = _SCALAR
    vector: Descent = _VECTOR
    objective: Objective = _OBJECTIVE
    teacher: nn.Module | None = None
    granularity: Granularity | str = Granularity.LAYER
    last: Granularity | str = Granularity.NEURON
    slope: Slope = _SLOPE
    early: Early | None = _EARLY
    output_guard: bool = False
    guard_margin: float = 1.25
    seed: int = 0
    cache: int = field(default=2**30, repr=False)
    checkpoint: Path | str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_fields(self)
        self._layout()
        for decay in self.decays:
            self.scalar.with_decay(decay)
        check_tolerance(self.tolerance)

    def apply(
        self, model: nn.Module, train: Batches, validate: Batches | None, scope: Scope
    ) -> Receipt:
        """Profile, replace and train stage by stage."""
        sets = read_sets("ProAct", train, validate)
        settings = settings_of(self, "teacher", "cache", "checkpoint")
        none = self.checkpoint is None
        identity = {} if none else identity_of(model, sets, settings, self.teacher)
        with self._stages(model, sets, scope) as (session, stages):
            identity["sites"] = sites_of(session.receipt)
            ledger = Ledger(CheckpointFile(self.checkpoint, identity))
            ledger.resume(session.thresholds)
            session.receipt.history = stages.run(ledger, show=scope.progress)
        return session.receipt

    def estimate(
        self,
        model: nn.Module,
        train: Batches,
        validate: Batches,
        *,
        where: Where | None = None,
        kinds: tuple[type[nn.Module], ...] = ACTIVATIONS,
    ) -> Estimate:
        """How long the training will take here, from the time of one batch at each stage; the model is left as it is.

        Args:
            model: As for :func:`clipact.protect`.
            train: As for :func:`clipact.protect`.
            validate: As for :func:`clipact.protect`.
            where: As for :func:`clipact.protect`.
            kinds: As for :func:`clipact.protect`.
        """
        sets = read_sets("ProAct", train, validate)
        with self._stages(model, sets, Scope(where, kinds, progress=False)) as (session, stages):
            found = stages.estimate(stages.costs())
        session.receipt.restore()
        return found

    @contextmanager
    def _stages(
        self, model: nn.Module, sets: Sets, scope: Scope
    ) -> Generator[tuple[Session, Stages]]:
        samples = sum(len(batch.labels) for batch in sets.validate)
        allowed = samples_allowed(self.tolerance, samples)
        said = None
        if self.objective.teacher:
            teacher = model if self.teacher is None else self.teacher
            check_teacher(teacher, model, sets.train[0])
            said = teacher_logits(teacher, sets.train)
        with training_session(model, sets, scope, self._layout()) as session:
            yield session, Stages(self._rules(), session, said, allowed)

    def _rules(self) -> Rules:
        return Rules(
            tuple(float(decay) for decay in self.decays),
            self.scalar,
            self.vector,
            self.objective,
            self.slope,
            self.early,
            int(self.seed),
            self.cache,
        )

    def _layout(self) -> Layout:
        guard = Bounds(Granularity.NEURON, 100.0, self.guard_margin)
        return Layout(
            Granularity(self.granularity),
            Granularity(self.last),
            self.slope,
            guard if self.output_guard else None,
        )
