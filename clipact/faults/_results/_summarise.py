"""The summary of a result."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from clipact.faults._models import FaultModel
from clipact.faults._numbers._statistics import Interval, wilson
from clipact.faults._results._kept import Integers
from clipact.faults._results._means import estimated
from clipact.faults._results._summary import EVENTS, Estimator, Summary, SummaryRow
from clipact.faults._results._trial import last_line

if TYPE_CHECKING:
    from clipact.faults._results._result import Result


def summarise(
    result: "Result", confidence: float, estimators: Mapping[FaultModel, Estimator]
) -> Summary:
    """See :meth:`Result.summary`."""
    rows = tuple(_row(result, fault, confidence, estimators.get(fault)) for fault in result.faults)
    return Summary(rows, result.golden, confidence, result.description)


def _row(
    result: "Result", fault: FaultModel, confidence: float, estimator: Estimator | None
) -> SummaryRow:
    columns, rows = result.columns, result.rows(fault)
    good = ~columns.failed[rows]
    trials, flips = columns.trial[rows][good], columns.flips[rows][good]
    values = {metric: result.values(metric, fault)[good] for metric in result.golden}
    broken = {m: int(np.count_nonzero(~np.isfinite(found))) for m, found in values.items()}
    means = {m: estimated(trials, found, confidence, estimator) for m, found in values.items()}
    shares = {
        event: Interval(math.nan, math.nan, math.nan)
        if broken[event]
        else _share(trials, values[event] > 0, confidence, estimator)
        for event in EVENTS
        if event in values
    }
    first = next(
        (columns.errors[row] for row in columns.errors if rows.start <= row < rows.stop), ""
    )
    return SummaryRow(
        fault=fault,
        trials=trials.size,
        flips=float(flips.mean()) if flips.size else math.nan,
        means=means,
        not_finite=broken,
        any_trial=shares,
        failed=int(np.count_nonzero(~good)),
        error=last_line(first),
        weighted=estimator is not None,
    )


def _share(
    trials: Integers, hit: npt.NDArray[np.bool_], confidence: float, estimator: Estimator | None
) -> Interval:
    if estimator is not None or not hit.size:
        return estimated(trials, hit.astype(np.float64), confidence, estimator)
    hits = int(np.count_nonzero(hit))
    return Interval(hits / hit.size, *wilson(hits, hit.size, confidence))
