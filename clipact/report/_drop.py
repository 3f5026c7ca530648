"""How far a metric falls."""

from typing import TYPE_CHECKING

import numpy as np

from clipact.errors import CampaignError
from clipact.faults import Result
from clipact.report._columns import Numbers
from clipact.report._style import (
    BLUE,
    CURVES,
    INK,
    LINE,
    label,
    legend,
    logarithmic,
    picture,
    verbatim,
)
from clipact.report._trials import check_metric, trials_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS = 40


def metric_drop(result: Result, *, metric: str = "accuracy") -> "Figure":
    """Draw how far a metric falls below its golden value in the trials.

    Of one fault model it is a histogram; of several, curves of the share of trials that fall at least so far. Shares are on a
    logarithmic axis, so that one disaster in thousands is seen. Trials whose metric is not finite are counted beside the axis.
    Where metric and golden value are between 0 and 1 the fall is in percentage points.

    Args:
        result: Of a campaign; of its fault models up to eight are drawn.
        metric: What to look at.

    Returns:
        A matplotlib figure.

    Raises:
        CampaignError: There is no such metric, or no trial with a finite value.
        MissingExtraError: matplotlib is not installed.
    """
    check_metric(result, metric)
    drops, broken = _drops(result, metric)
    if not drops:
        raise CampaignError(
            f"{metric} is not finite in any of {len(result):,} trials, so that there is no fall to draw"
        )
    every, golden = np.concatenate(list(drops.values())), result.golden[metric]
    points = all(0.0 <= v <= 1.0 for v in (golden, golden - every.min(), golden - every.max()))
    unit, named = (100.0, " (percentage points)") if points else (1.0, "")
    figure, axes = picture(height=4.0, width=6.8)
    if len(drops) == 1:
        _histogram(axes, unit * every)
    else:
        _curves(axes, {name: unit * values for name, values in drops.items()})
    axes.axvline(0, color=INK, linewidth=0.8, linestyle=":")
    logarithmic(axes, "y")
    axes.grid(visible=True, axis="y", color=LINE, linewidth=0.8)
    notes = f"; n = {every.size:,} trials{f', {broken:,} not finite left out' if broken else ''}"
    notes += ", not weighted" if result.estimators else ""
    label(
        axes,
        f"How far {metric} falls below the golden run's {unit * golden:.4g}{' %' if points else ''}",
        f"fall of {metric}{named}{notes}",
        "share of trials (%)"
        if len(drops) == 1
        else "share of trials that fall at least so far (%)",
    )
    return figure


def _drops(result: Result, metric: str) -> tuple[dict[str, Numbers], int]:
    """Of each fault model, golden value minus value; and how many were not finite."""
    found: dict[str, Numbers] = {}
    broken = 0
    for fault in result.faults[: len(CURVES)]:
        trials = trials_of(result, fault)
        fall = result.golden[metric] - trials.values[metric][~trials.failed]
        finite = np.isfinite(fall)
        broken += int(np.count_nonzero(~finite))
        if finite.any():
            found[str(fault)] = fall[finite]
    return found, broken


def _histogram(axes: "Axes", values: Numbers) -> None:
    """Bins of equal width; trials without any fall are in the middle of one."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    step = (high - low) / _BINS or 1.0
    edges = step * np.arange(np.floor(low / step) - 0.5, np.ceil(high / step) + 1.0)
    counts, _ = np.histogram(values, edges)
    least = 50.0 / values.size  # half a trial
    axes.stairs(
        100.0 * counts / values.size, edges, baseline=least, color=BLUE, fill=True, alpha=0.85
    )


def _curves(axes: "Axes", drops: dict[str, Numbers]) -> None:
    """Of each fault model, how many fall at least so far."""
    for (name, values), colour in zip(drops.items(), CURVES, strict=False):
        fall = np.sort(values)
        share = 100.0 * np.arange(fall.size, 0, -1) / max(fall.size, 1)
        axes.step(fall, share, where="pre", color=colour, linewidth=1.6, label=verbatim(name))
    legend(axes)
