"""Many trials of faults on one model."""

import os
from collections.abc import Sequence
from concurrent.futures import Executor as FuturesExecutor
from typing import Final, final

from torch import nn

from clipact.errors import CampaignError, FaultError
from clipact.faults._evaluations._evaluation import CallableEvaluation, Evaluate, Evaluation
from clipact.faults._formats import NATIVE, Format
from clipact.faults._lifetime import Lifetime
from clipact.faults._models import FaultModel
from clipact.faults._numbers._stopping import Precision
from clipact.faults._requests import (
    check_expected,
    check_kind,
    check_number,
    check_request,
    check_trials,
    several,
)
from clipact.faults._results._result import Result
from clipact.faults._running import Limits, Options, Run, Spec
from clipact.faults._sampling import Sampling, Uniform
from clipact.faults._shard import Shard
from clipact.faults._streams import check_seed
from clipact.faults._targets import Target, bit_spaces
from clipact.faults.executors import Executor

_VERIFIED: Final = 0.05
"""Share of trials that are verified where a shortcut is likely exact, but not sure to be."""


@final
class Campaign:
    """Measure a model under faults, trial by trial.

    A trial draws faults, evaluates the model with them, and restores it. It is a pure function of the seed and its
    number: trial ``t`` of one seed meets the same faults in every campaign, whatever ran before, wherever it runs; of two
    rates, nearly all faults of the lower are among those of the higher. The model is evaluated in eval mode without
    gradients and is bit for bit as before afterwards, also after an error or Ctrl-C. Buffers that an evaluation updates are
    put back after each one.

    Args:
        model: The model, on any devices.
        evaluation: A :class:`Classification` or :class:`Outputs`, or a function ``evaluate(model)`` that returns a number
            or a mapping of names to numbers.
        fault: A fault model, or several for a curve.
        target: Where faults may fall.
        trials: Number of trials for each fault model.
        seed: Which series of trials.
        format: Number format whose bits are changed.
        lifetime: When faults are drawn anew: once a trial, in each forward, or for each sample.
        sampling: How single faults are chosen; :class:`Uniform` over the bits for all other campaigns.
        per_sample: Evaluate each trial on one sample, another one each time, instead of on all: the trials are then
            independent experiments, and those with faults in activations run many to a forward. Needs an evaluation
            whose batches the campaign sees.

    Raises:
        FaultError: A fault model twice or none, no trial, what :func:`inject` refuses, or arguments that do not go together.
        SelectionError: The target picks nothing.

    Examples:
        >>> import torch
        >>> from clipact import faults
        >>> batches = [(torch.eye(4), torch.arange(4))]
        >>> model = nn.Linear(4, 4, bias=False)
        >>> _ = nn.init.eye_(model.weight)
        >>> campaign = faults.Campaign(
        ...     model,
        ...     faults.Classification(batches),
        ...     fault=faults.BitFlip(rate=0.01),
        ...     target=faults.Weights(),
        ...     trials=20,
        ... )
        >>> result = campaign.run(progress=False)
        >>> len(result), result.golden["accuracy"]
        (20, 1.0)
    """

    def __init__(  # noqa: PLR0913 - what a campaign is; all but the first two by keyword
        self,
        model: nn.Module,
        evaluation: Evaluation | Evaluate,
        *,
        fault: FaultModel | Sequence[FaultModel],
        target: Target,
        trials: int = 100,
        seed: int = 0,
        format: Format = NATIVE,  # noqa: A002 - the word of inject()
        lifetime: Lifetime = Lifetime.STATIC,
        sampling: Sampling = Uniform(),  # noqa: B008 - immutable
        per_sample: bool = False,
    ) -> None:
        faults = (fault,) if isinstance(fault, FaultModel) else several(fault)
        for each in faults:
            check_request(model, each, target, format)
        check_trials(trials)
        check_seed(seed, trials)
        check_kind("lifetime", lifetime, Lifetime, "faults.Lifetime.STATIC")
        check_kind("sampling", sampling, Sampling, "faults.Stratified()")
        check_kind("per_sample", per_sample, bool, "True or False")
        if not isinstance(evaluation, Evaluation) and not callable(evaluation):
            raise FaultError(
                f"evaluation={evaluation!r} is a {type(evaluation).__name__}; give faults.Classification(loader), or a function"
                " evaluate(model)"
            )
        self._model = model
        self._evaluation = (
            evaluation if isinstance(evaluation, Evaluation) else CallableEvaluation(evaluation)
        )
        self._spec = Spec(
            faults, target, int(trials), int(seed), format, lifetime, sampling, per_sample
        )
        _check_together(self._spec, model)

    def with_trials(self, trials: int) -> "Campaign":
        """The same campaign with another number of trials for each fault model."""
        of = self._spec
        return Campaign(
            self._model, self._evaluation, fault=of.faults, target=of.target, trials=trials, seed=of.seed,
            format=of.format, lifetime=of.lifetime, sampling=of.sampling, per_sample=of.per_sample,
        )  # fmt: skip

    def run(  # noqa: PLR0913 - all by keyword, each by itself
        self,
        *,
        store: str | os.PathLike[str] | None = None,
        executor: Executor | FuturesExecutor | None = None,
        progress: bool = True,
        replay: bool = True,
        dirty_only: bool = False,
        verify: float = 0.0,
        stop: Precision | None = None,
        seconds: float | None = None,
        shard: Shard | None = None,
        stop_on_error: bool = False,
    ) -> Result:
        """Run the trials that are not in the store yet.

        Args:
            store: An SQLite file that keeps every finished trial: the same call continues after a crash, and ends with the
                same table. None keeps them in memory.
            executor: Where trials run: ``executors.processes(n)``, ``executors.ray(...)``, any
                ``concurrent.futures.Executor`` of processes; None for this process.
            progress: Show how it is getting on.
            replay: Take the shortcuts that are exact: run only what faults reach, and take the rest from the golden run.
                False runs every inference in full.
            dirty_only: Besides, where faults were met, compute only the samples whose values differ from the golden ones,
                never fewer than two at once and only so many at once as gave the same bits without faults. That is a
                measured likelihood, not a certainty, so at least 5 % of the trials are verified.
            verify: Share of the replayed trials that are run in full too and compared, every output, bit for bit, besides
                the first two; on a mismatch replay is off from there on, with a warning. What a model leaves in global
                variables and class attributes is not seen, and is not as in full inferences where modules are skipped.
            stop: Ends the trials of a fault model when its estimate is precise enough.
            seconds: Ends the run after so much time, with the trials that are done.
            shard: Run only this part of the trials.
            stop_on_error: Raise where an evaluation raises under faults; otherwise its traceback is recorded as the
                trial's, and the campaign goes on.

        Returns:
            One row a trial, of those that are done.

        Raises:
            CampaignError: The evaluation fails without faults or changes the model, its data is not the same every
                time, the store is of another campaign, or a worker cannot be given the model.
            CampaignInterrupted: Ctrl-C; a ``KeyboardInterrupt`` that has the trials so far as ``.result``.
        """
        check_number("verify", verify, "a share of the trials from 0 to 1", most=1.0)
        if seconds is not None:
            check_number("seconds", seconds, "a time of at least 0")
        if shard is not None:
            check_kind("shard", shard, Shard, 'faults.Shard.parse("0/4")')
        if stop is not None:
            check_kind("stop", stop, Precision, "faults.Precision(half_width=0.01)")
        if shard is not None and (stop is not None or self._spec.sampling.is_adaptive):
            raise CampaignError(
                "a shard sees only its own trials, so stop= and adaptive sampling cannot decide there; leave them out, or run"
                " without shards"
            )
        if dirty_only and not replay:
            raise CampaignError(
                "dirty_only=True asked for with replay=False; samples that differ from the golden ones are found by replay"
            )
        options = Options(
            replay=replay,
            dirty_only=dirty_only,
            verify=max(verify, _VERIFIED) if dirty_only else verify,
            stop_on_error=stop_on_error,
        )
        run = Run(self._model, self._evaluation, self._spec, options)
        return run.result(
            store=store,
            executor=executor,
            progress=progress,
            limits=Limits(stop, seconds, shard),
        )


def _check_together(spec: Spec, model: nn.Module) -> None:
    """Refuse arguments of which each is fine, but not with the others.

    Raises:
        FaultError: They do not go together.
        SelectionError: The target picks nothing.
    """
    tensors = spec.target.tensors(model)
    spaces = bit_spaces(tensors, spec.format)
    if not spec.target.flowing():
        for fault in spec.faults:
            check_expected(fault, spaces, spec.trials)
    anew = spec.lifetime is not Lifetime.STATIC
    if spec.lifetime is Lifetime.SAMPLE and tensors:
        raise FaultError(
            f"lifetime={spec.lifetime} and {spec.target}: tensors in memory are the same for all samples of a batch; give"
            " Lifetime.BATCH, or Activations() or Inputs() alone"
        )
    if anew and spec.per_sample:
        raise FaultError(
            f"lifetime={spec.lifetime} and per_sample=True: a trial of one sample draws its faults once; leave one out"
        )
    if anew and not isinstance(spec.sampling, Uniform):
        raise FaultError(
            f"lifetime={spec.lifetime} and sampling={spec.sampling}: faults that are drawn anew are drawn uniformly; leave one"
            " out"
        )
