"""How far a metric falls."""

from typing import TYPE_CHECKING

import numpy as np

from clipact.errors import CampaignError
from clipact.faults import Result
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
from clipact.report._trials import Numbers, check_metric, trials_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BINS = 40


def metric_drop(result: Result, *, metric: str = "accuracy") -> "Figure":
    """Draw a histogram of how far a metric is below its golden value in each trial.

    The share of trials is on a logarithmic axis, so that one disaster in thousands is seen. Trials whose metric is not finite
    are counted in the caption. Where metric and golden value are between 0 and 1 the fall is in percentage points.

    Args:
        result: Of a campaign; each of its fault models, up to eight, is an outline.
        metric: What to look at.

    Returns:
        A matplotlib figure.

    Raises:
        CampaignError: There is no such metric, or no trial with a finite value.
        MissingExtraError: matplotlib is not installed.
    """
    check_metric(result, metric)
    drops, broken = _drops(result, metric)
    every = np.concatenate(list(drops.values()))
    if not every.size:
        raise CampaignError(
            f"{metric} is not finite in any of {len(result):,} trials, so that there is no fall to draw"
        )
    points = all(0.0 <= v <= 1.0 for v in (result.golden[metric], *(result.golden[metric] - every)))
    unit = 100.0 if points else 1.0
    edges = _edges(unit * every)
    figure, axes = picture(height=4.0, width=6.8)
    for place, (name, values) in enumerate(drops.items()):
        _draw(axes, place, name, unit * values, edges, filled=len(drops) == 1)
    axes.axvline(0, color=INK, linewidth=0.8, linestyle=":")
    logarithmic(axes, "y")
    axes.grid(visible=True, axis="y", color=LINE, linewidth=0.8)
    if len(drops) > 1:
        legend(axes)
    left = len(result.faults) - len(drops)
    notes = [f"n = {every.size:,} trials"]
    notes += [f"{broken:,} not finite left out"] if broken else []
    notes += [f"{left} more fault models left out"] if left else []
    golden = f"{unit * result.golden[metric]:.4g}{' %' if points else ''}"
    label(
        axes,
        f"How far {metric} falls below the golden run's {golden}",
        f"fall of {metric}{' (percentage points)' if points else ''}; {', '.join(notes)}",
        "share of trials (%)",
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
        found[str(fault)] = fall[finite]
    return found, broken


def _edges(values: Numbers) -> Numbers:
    """Edges of bins; trials without any fall are in the middle of one."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    step = (high - low) / _BINS or 1.0
    return step * np.arange(np.floor(low / step) - 0.5, np.ceil(high / step) + 1.0)


def _draw(
    axes: "Axes", place: int, name: str, values: Numbers, edges: Numbers, *, filled: bool
) -> None:
    counts, _ = np.histogram(values, edges)
    shares = 100.0 * counts / max(values.size, 1)
    axes.stairs(
        shares,
        edges,
        baseline=50.0 / max(values.size, 1),  # half a trial
        color=BLUE if filled else CURVES[place],
        fill=filled,
        alpha=0.8 if filled else 1.0,
        linewidth=1.6,
        label=verbatim(name),
    )
