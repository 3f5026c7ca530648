"""From trials to columns."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import numpy as np

from clipact.errors import CampaignError
from clipact.faults._models import FaultModel
from clipact.faults._results._columns import Block, Columns, join
from clipact.faults._results._kept import Keeping
from clipact.faults._results._trial import Trial

_BLOCK = 8192


def gather(
    trials: Iterable[Trial], faults: Sequence[FaultModel], metrics: Sequence[str]
) -> Columns:
    """The columns of trials, which may come in any order.

    Args:
        trials: Each once.
        faults: The fault models, in order.
        metrics: Names of the metrics, in order.

    Raises:
        CampaignError: A trial comes twice, or has another fault model or other metrics.
    """
    places = {fault: place for place, fault in enumerate(faults)}
    keeping, blocks, rest = Keeping(), list[Block](), iter(trials)
    while some := list(islice(rest, _BLOCK)):
        where = [place_of(trial, places) for trial in some]
        for place, trial in zip(where, some, strict=True):
            keeping.add(place, trial.trial, trial.faults)
        blocks.append(_block(some, where, metrics))
    return join(blocks, metrics, keeping.kept)


def place_of(trial: Trial, places: Mapping[FaultModel, int]) -> int:
    """The place of a trial's fault model.

    Raises:
        CampaignError: It is none of the campaign.
    """
    if trial.fault not in places:
        raise CampaignError(
            f"trial {trial.trial} is of {trial.fault}, which is none of the campaign's fault models: {', '.join(map(str, places))}"
        )
    return places[trial.fault]


def values_of(trial: Trial, metrics: Sequence[str]) -> list[float]:
    """A trial's metrics in order; NaN if its evaluation raised.

    Raises:
        CampaignError: It has other metrics.
    """
    if trial.error is not None:
        return [np.nan] * len(metrics)
    if len(trial.metrics) != len(metrics) or any(name not in trial.metrics for name in metrics):
        raise CampaignError(
            f"trial {trial.trial} of {trial.fault} has the metrics {', '.join(trial.metrics)}, the golden run"
            f" {', '.join(metrics)}; they must be the same"
        )
    return [trial.metrics[name] for name in metrics]


def _block(trials: Sequence[Trial], places: Sequence[int], metrics: Sequence[str]) -> Block:
    values = np.array([values_of(t, metrics) for t in trials], np.float64)
    values = values.reshape(len(trials), len(metrics)).T.copy()
    values[np.isnan(values)] = np.nan  # which of the many NaN says nothing
    return Block(
        fault=np.array(places, np.int64),
        trial=np.array([t.trial for t in trials], np.int64),
        seconds=np.array([t.seconds for t in trials], np.float64),
        flips=np.array([t.flips for t in trials], np.int64),
        digest=np.array([t.digest for t in trials], np.bytes_),
        metrics=list(values),
        errors={place: t.error for place, t in enumerate(trials) if t.error is not None},
    )
