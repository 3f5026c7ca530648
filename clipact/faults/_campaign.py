"""Many trials of faults on one model."""

import time
import warnings
from collections.abc import Sequence
from itertools import product
from math import isnan
from typing import final

from torch import nn

from clipact._progress import track
from clipact.errors import CampaignError
from clipact.faults._bound import Bound, bind
from clipact.faults._caches import check_uncached
from clipact.faults._evaluation import CallableEvaluation, Evaluate, Evaluation, GoldenRun, Metrics
from clipact.faults._exclusive import exclusive
from clipact.faults._formats import NATIVE, Format
from clipact.faults._hits import digest
from clipact.faults._inject import injected
from clipact.faults._models import FaultModel, draw_parts, number_of_faults
from clipact.faults._requests import check_expected, check_request, check_trials, several
from clipact.faults._result import Result
from clipact.faults._state import Buffers, fingerprint
from clipact.faults._streams import Draw, check_seed
from clipact.faults._targets import Target, bit_spaces
from clipact.faults._trial import Trial


@final
class Campaign:
    """Measure a model under faults, trial by trial.

    A trial draws faults, evaluates the model with them, and restores it. Trial ``t`` of one seed meets the same
    faults in every campaign, whatever ran before; of two rates, nearly all faults of the lower are among those of
    the higher. The model is evaluated in eval mode without gradients and is bit for bit as before afterwards, also after an
    error or Ctrl-C. Buffers that an evaluation updates are put back after each one.

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
        self._faults = (fault,) if isinstance(fault, FaultModel) else several(fault)
        for each in self._faults:
            check_request(model, each, target, format)
        check_trials(trials)
        check_seed(seed, trials)
        spaces = bit_spaces(target.tensors(model), format)
        self._bits = sum(space.bits for space in spaces)
        self._model = model
        self._evaluation = (
            evaluation if isinstance(evaluation, Evaluation) else CallableEvaluation(evaluation)
        )
        self._target, self._trials, self._seed, self._format = target, trials, seed, format
        for each in self._faults:
            check_expected(each, spaces, trials)

    def run(self, *, progress: bool = True) -> Result:
        """Run every trial.

        Args:
            progress: Show a progress bar, where tqdm is installed.

        Returns:
            One row a trial.

        Raises:
            CampaignError: The evaluation fails or changes the model, or its data is not the same every time.
        """
        check_uncached(self._model)
        tensors = self._target.tensors(self._model)
        bound = bind(tensors, self._format)
        before, buffers = fingerprint(self._model, tensors), Buffers(self._model)
        with buffers.kept():
            golden = self._golden()
        plan = list(product(self._faults, range(self._trials)))
        rows: list[Trial] = []
        with exclusive(tensors):
            for fault, trial in track(plan, label="trials", total=len(plan), show=progress):
                with buffers.kept():
                    rows.append(self._trial(golden, bound, fault, trial))
        if fingerprint(self._model, self._target.tensors(self._model)) != before:
            raise CampaignError(
                "the model's weights are not those from before the campaign, so the trials did not all measure the same"
                " model; the evaluation must not train or change it"
            )
        with buffers.kept():
            self._check_repeats(golden)
        return Result.of(
            rows,
            golden=golden.metrics,
            faults=self._faults,
            trials_per_fault=self._trials,
            seed=self._seed,
            target=str(self._target),
            format=self._format,
            population=self._bits,
            data=golden.data,
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

    def _trial(self, golden: GoldenRun, bound: Bound, fault: FaultModel, trial: int) -> Trial:
        start = time.perf_counter()
        hits = draw_parts(fault, bound.spaces, Draw(self._seed, trial))
        with injected(bound, hits, fault):
            try:
                metrics = golden.evaluate(self._model)
            except CampaignError:
                raise
            except Exception as error:
                raise CampaignError(
                    f"the evaluation failed in trial {trial} of {fault}, seed {self._seed}: {error!r}; the model is"
                    " restored, and inject() with this seed and trial shows it again"
                ) from error
        seconds = time.perf_counter() - start
        flips = number_of_faults(fault, hits)
        return Trial(trial, fault, metrics, seconds, flips, digest(bound.spaces, hits))

    def _check_repeats(self, golden: GoldenRun) -> None:
        again = golden.evaluate(self._model)
        if not _same(again, golden.metrics):
            warnings.warn(
                f"without faults the evaluation gave {dict(golden.metrics)} before the trials and {dict(again)} after"
                " them: it does not repeat, so differences that small mean nothing",
                UserWarning,
                stacklevel=3,
            )


def _same(a: Metrics, b: Metrics) -> bool:
    return all(a[name] == b[name] or (isnan(a[name]) and isnan(b[name])) for name in b)
