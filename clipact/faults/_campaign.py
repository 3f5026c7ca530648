"""Many trials of faults on one model."""

import hashlib
import time
import warnings
from collections.abc import Sequence
from itertools import product
from math import isnan
from typing import Any, final

from torch import nn

from clipact._progress import track
from clipact.errors import CampaignError, FaultError
from clipact.faults._drawing import Draw
from clipact.faults._evaluation import CallableEvaluation, Evaluate, Evaluation, GoldenRun, Metrics
from clipact.faults._exclusive import exclusive
from clipact.faults._formats import NATIVE, Format
from clipact.faults._inject import injected
from clipact.faults._models import FaultModel
from clipact.faults._region import Region
from clipact.faults._result import Result, Trial
from clipact.faults._storage import storage_words, unaddressable
from clipact.faults._streams import check_seed
from clipact.faults._targets import Target, population
from clipact.faults._tensors import TargetTensor

_HARDLY_EVER = 0.01


@final
class Campaign:
    """Measure a model under faults, trial by trial.

    A trial draws faults, evaluates the model with them, and restores it. Trial ``t`` of one seed meets the same
    faults in every campaign, whatever ran before; at different rates the faults of the lower are among those of
    the higher. The model is evaluated in eval mode without gradients and is bit for bit as before afterwards, also after an
    error or Ctrl-C.

    Args:
        model: The model, on any devices.
        evaluation: A :class:`Classification`, or a function ``evaluate(model)`` that returns a number or a mapping
            of names to numbers.
        fault: A fault model, or several for a curve.
        target: Where faults may fall.
        trials: Number of trials for each fault model.
        seed: Which series of trials.
        format: Number format whose bits are changed.

    Raises:
        FaultError: A fault model twice or none, no trial, or what :func:`inject` refuses.
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
    ) -> None:
        self._faults = (fault,) if isinstance(fault, FaultModel) else tuple(fault)
        if not self._faults or len(set(self._faults)) < len(self._faults):
            raise FaultError(
                f"fault={list(self._faults)}: give at least one fault model, each once"
            )
        if trials < 1:
            raise FaultError(f"trials={trials}: give at least one trial")
        check_seed(seed, trials)
        bits = population(model, target, format=format)
        self._model = model
        self._evaluation = (
            evaluation if isinstance(evaluation, Evaluation) else CallableEvaluation(evaluation)
        )
        self._target, self._trials, self._seed, self._format = target, trials, seed, format
        self._description = f"{target} in {format}: {bits:,} bits, seed {seed}"
        for each in self._faults:
            _check_expected(each, bits, trials)

    def run(self, *, progress: bool = True) -> Result:
        """Run every trial.

        Args:
            progress: Show a progress bar, where tqdm is installed.

        Returns:
            One row a trial.

        Raises:
            CampaignError: The evaluation fails or changes the model, or its data is not the same every time.
        """
        tensors = self._target.tensors(self._model)
        before = _state(self._model, tensors)
        golden = self._golden()
        plan = list(product(self._faults, range(self._trials)))
        shown = track(plan, label="trials", total=len(plan), show=progress)
        with exclusive(tensors):
            rows = tuple(self._trial(golden, tensors, fault, trial) for fault, trial in shown)
        if _state(self._model, self._target.tensors(self._model)) != before:
            raise CampaignError(
                "the model's weights are not those from before the campaign, so the trials did not all measure the same"
                " model; the evaluation must not train or change it"
            )
        self._check_repeats(golden)
        return Result(
            golden.metrics, rows, self._faults, self._trials, self._seed, self._description
        )

    def _golden(self) -> GoldenRun:
        try:
            return self._evaluation.golden(self._model)
        except CampaignError:
            raise
        except Exception as error:
            raise CampaignError(
                f"the evaluation failed in the golden run, without faults: {error!r}"
            ) from error

    def _trial(
        self, golden: GoldenRun, tensors: Sequence[TargetTensor], fault: FaultModel, trial: int
    ) -> Trial:
        start = time.perf_counter()
        with injected(tensors, fault, Draw(self._seed, trial), self._format) as changes:
            try:
                metrics = golden.evaluate(self._model)
            except CampaignError:
                raise
            except Exception as error:
                raise CampaignError(
                    f"the evaluation failed in trial {trial} of {fault}, seed {self._seed}: {error!r}; the model is"
                    " restored, and inject() with this seed and trial shows it again"
                ) from error
        flips = sum(change.hits.index.size for change in changes)
        return Trial(trial, fault, metrics, time.perf_counter() - start, flips)

    def _check_repeats(self, golden: GoldenRun) -> None:
        again = golden.evaluate(self._model)
        if not _same(again, golden.metrics):
            warnings.warn(
                f"without faults the evaluation gave {dict(golden.metrics)} before the trials and {dict(again)} after"
                " them: it does not repeat, so differences that small mean nothing",
                UserWarning,
                stacklevel=3,
            )


def _check_expected(fault: FaultModel, bits: int, trials: int) -> None:
    expected = fault.expected(bits)
    if 0.0 < expected < _HARDLY_EVER:
        warnings.warn(
            f"{fault} on {bits:,} bits hits {expected:.2g} bits a trial on average, {expected * trials:.2g} in all"
            f" {trials} trials: hardly any trial has a fault; raise the rate, or use a count",
            UserWarning,
            stacklevel=3,
        )


def _state(
    model: nn.Module, tensors: Sequence[TargetTensor]
) -> tuple[list[tuple[int, Region]], bytes]:
    """Which tensors the target has and where, and a hash of the bits of these and of all parameters."""
    found = {id(item.tensor): item.tensor for item in tensors}
    found |= {id(p): p for p in model.parameters() if unaddressable(p) is None}
    digest = hashlib.sha256()
    for tensor in found.values():
        words: Any = storage_words(tensor).cpu().numpy()
        digest.update(words)
    return [(id(item.tensor), item.region) for item in tensors], digest.digest()


def _same(a: Metrics, b: Metrics) -> bool:
    return all(a[name] == b[name] or (isnan(a[name]) and isnan(b[name])) for name in b)
