"""A campaign in one process: the model with its golden run, and the trials that are asked for."""

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import final

from torch import nn

from clipact.errors import CampaignError
from clipact.faults._evaluations._batched import BatchedGolden
from clipact.faults._evaluations._evaluation import Evaluation, Metrics
from clipact.faults._lifetime import Lifetime
from clipact.faults._memory._caches import check_uncached
from clipact.faults._memory._exclusive import exclusive
from clipact.faults._memory._state import Buffers, fingerprint
from clipact.faults._results._trial import Trial, traced
from clipact.faults._running._golden import golden_run
from clipact.faults._running._packing import Packing
from clipact.faults._running._shortcut import Shortcut, recorded
from clipact.faults._running._spec import Options, Outcome, Spec, Task
from clipact.faults._streams import Draw
from clipact.faults._surface import Shot
from clipact.faults._tally import Tally
from clipact.surgery import plain_attention


@final
class Session:
    """Runs trials, each of which leaves the model as it was. Made by :meth:`open`.

    Attributes:
        golden: The fault-free run.
        surface: Where faults may fall.
        samplers: What draws the trials of each fault model.
        seconds: How long the golden run took.
    """

    def __init__(
        self, evaluation: Evaluation, spec: Spec, options: Options, model: nn.Module
    ) -> None:
        self._spec, self._options, self._model = spec, options, model
        self._buffers = Buffers(model)
        self._before = fingerprint(model, spec.target.tensors(model))
        start = time.perf_counter()
        self.golden, self.surface = golden_run(model, evaluation, spec, self._buffers)
        self.seconds = time.perf_counter() - start
        self.samplers = [
            spec.sampling.prepare(fault, self.surface.spaces, spec.seed, spec.trials)
            for fault in spec.faults
        ]
        self._packing = self._make_packing() if spec.per_sample else None
        self._shortcut = self._make_shortcut()

    @classmethod
    @contextmanager
    def open(
        cls, model: nn.Module, evaluation: Evaluation, spec: Spec, options: Options
    ) -> Generator["Session"]:
        """Measure the golden run, and hold the model for trials inside the block.

        Raises:
            CampaignError: The evaluation fails without faults, or changed the model in the end.
        """
        check_uncached(model)
        with ExitStack() as stack:
            if spec.target.flowing():
                stack.enter_context(plain_attention())
            session = cls(evaluation, spec, options, model)
            stack.enter_context(exclusive(session.surface.bound.tensors))
            yield session

    def run(self, task: Task) -> Outcome:
        """Run the trials of a task.

        Raises:
            CampaignError: The evaluation changed the model or its data, or raised where that is to stop the campaign.
        """
        if self._packing is not None:
            trials, saved = self._packing.run(self._spec.faults[task.fault], task), 0
        else:
            ran = [self._trial(task.fault, number) for number in task.trials]
            trials = tuple(trial for trial, _ in ran)
            saved = sum(shorter for _, shorter in ran)
        self.check_unchanged()
        notes, self._shortcut.notes = tuple(self._shortcut.notes), []
        return Outcome(trials, saved, notes)

    def check_unchanged(self) -> None:
        """Compare the model with what it was.

        Raises:
            CampaignError: Its parameters are others.
        """
        if fingerprint(self._model, self._spec.target.tensors(self._model)) != self._before:
            raise CampaignError(
                "the model's weights are not those from before the campaign, so the trials did not all measure the same"
                " model; the evaluation must not train or change it"
            )

    def repeats(self) -> Metrics:
        """The fault-free metrics once more."""
        with self._buffers.kept():
            return self.golden.evaluate(self._model)

    @property
    def block(self) -> int:
        """Trials in a row that are evaluated together."""
        return self._packing.samples.count if self._packing is not None else 1

    def _make_packing(self) -> Packing:
        if not isinstance(self.golden, BatchedGolden):
            raise CampaignError(
                "per_sample=True needs an evaluation whose batches the campaign sees: give Classification(loader) or"
                " Outputs(loader, metric)"
            )
        return Packing(
            self.golden,
            self.surface,
            self.samplers,
            self._spec.seed,
            self._buffers,
            stop_on_error=self._options.stop_on_error,
        )

    def _make_shortcut(self) -> Shortcut:
        exact = self._spec.lifetime is Lifetime.STATIC and self._packing is None
        recording = None
        if self._options.replay and exact:
            recording = recorded(
                self.surface,
                self._evaluate,
                self._spec,
                self._buffers,
                dirty_only=self._options.dirty_only,
            )
        return Shortcut(
            self.surface, recording, self._buffers, self._spec.seed, self._options.verify
        )

    def _trial(self, place: int, number: int) -> tuple[Trial, bool]:
        spec = self._spec
        fault, draw = spec.faults[place], Draw(spec.seed, number)
        tally = Tally(fault, self.surface.spaces)
        start = time.perf_counter()
        with self._buffers.kept():
            if spec.lifetime is Lifetime.STATIC:
                shot = Shot(fault, draw, self.samplers[place].hits(number))
                with self.surface.struck(shot, tally):
                    metrics, error, saved = self._guarded(
                        number, fault, lambda: self._shortcut.evaluate(self._evaluate, shot)
                    )
            else:
                with self.surface.struck_anew(fault, draw, spec.lifetime, tally):
                    metrics, error, saved = self._guarded(
                        number, fault, lambda: (self._evaluate(), False)
                    )
        seconds = time.perf_counter() - start
        trial = Trial(
            number, fault, metrics, seconds, tally.flips, tally.digest, error, tally.faults
        )
        return trial, saved

    def _evaluate(self) -> Metrics:
        return self.golden.evaluate(self._model)

    def _guarded(
        self, number: int, fault: object, evaluate: Callable[[], tuple[Metrics, bool]]
    ) -> tuple[Metrics, str | None, bool]:
        """Metrics, or the traceback of what was raised."""
        try:
            metrics, saved = evaluate()
        except CampaignError:
            raise
        except Exception as error:
            if self._options.stop_on_error:
                raise CampaignError(
                    f"the evaluation failed in trial {number} of {fault}, seed {self._spec.seed}: {error!r}; the model is"
                    " restored, and inject() with this seed and trial shows it again"
                ) from error
            return {}, traced(), False
        return metrics, None, saved
