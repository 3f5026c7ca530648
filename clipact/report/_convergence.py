"""What more trials buy: the estimate so far, and the width of its interval."""

from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clipact.errors import CampaignError
from clipact.faults import Result
from clipact.report._columns import Integers, Numbers
from clipact.report._style import (
    CURVES,
    LINE,
    RED,
    label,
    legend,
    logarithmic,
    picture,
    spread,
    verbatim,
)
from clipact.report._trials import check_metric, trials_of
from clipact.report._weights import Estimator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS, _POINTS_WEIGHTED = 160, 40  # of a curve, which starts at a hundredth of the trials


def estimate_so_far(result: Result, *, metric: str = "sdc", confidence: float = 0.95) -> "Figure":
    r"""Draw the mean of a metric over the trials so far, with its interval, against their number.

    A curve that still climbs in steps hangs on rare trials, and the campaign is too short. For a metric between 0 and 1 the
    interval is Wilson's with the observed variance :math:`s^2` in place of :math:`\hat p (1 - \hat p)`, the same where every
    trial gives 0 or 1; for others it is the normal one. Where trials were not sampled uniformly both are those of the estimator
    that weighs them.

    Args:
        result: Of a campaign; each of its fault models, up to eight, is a curve.
        metric: What to look at.
        confidence: Of the intervals.

    Returns:
        A matplotlib figure.

    Raises:
        CampaignError: There is no such metric, or no fault model has two trials with finite values.
        MissingExtraError: matplotlib is not installed.
    """
    paths = _paths(result, metric, confidence)
    unit, sign = (100.0, " (%)") if all(path.share for path in paths.values()) else (1.0, "")
    figure, axes = picture(height=4.2, width=6.8)
    for (name, path), colour in zip(paths.items(), CURVES, strict=False):
        axes.fill_between(
            path.n, unit * path.low, unit * path.high, color=colour, alpha=0.16, linewidth=0
        )
        axes.plot(path.n, unit * path.mean, color=colour, linewidth=1.6, label=verbatim(name))
    _finish(axes)
    label(
        axes,
        f"Estimate of {metric} so far",
        f"trials so far{_ends(paths)}",
        f"mean {metric}{sign}, {100 * confidence:g} % interval",
    )
    return figure


def interval_width(
    result: Result, *, metric: str = "sdc", margin: float | None = None, confidence: float = 0.95
) -> "Figure":
    r"""Draw half the width of a metric's interval against the number of trials, with the margin aimed at.

    Both axes are logarithmic, where :math:`1/\sqrt n` is a straight line: where a curve will meet the margin can be read off.

    Args:
        result: Of a campaign; each of its fault models, up to eight, is a curve.
        metric: What to look at; its interval is that of :func:`estimate_so_far`.
        margin: Half width aimed at, in the metric's own unit (0.01 is one percentage point); None for no line.
        confidence: Of the intervals.

    Returns:
        A matplotlib figure.

    Raises:
        CampaignError: There is no such metric, or no fault model has two trials with finite values.
        MissingExtraError: matplotlib is not installed.
    """
    paths = _paths(result, metric, confidence)
    points = all(path.share for path in paths.values())
    unit, sign = (100.0, " (percentage points)") if points else (1.0, "")
    figure, axes = picture(height=4.2, width=6.8)
    for (name, path), colour in zip(paths.items(), CURVES, strict=False):
        half = unit * (path.high - path.low) / 2
        axes.plot(path.n, half, color=colour, linewidth=1.6, label=verbatim(name))
    if margin is not None:
        axes.axhline(
            unit * margin,
            color=RED,
            linewidth=1.4,
            linestyle="--",
            label=f"aim: ± {unit * margin:g}",
        )
    logarithmic(axes, "y")
    _finish(axes)
    label(
        axes,
        f"How well {metric} is known",
        f"trials so far{_ends(paths)}",
        f"{100 * confidence:g} % interval: ±{sign}",
    )
    return figure


class _Path(NamedTuple):
    """Mean and interval after ``n`` trials."""

    n: Integers
    mean: Numbers
    low: Numbers
    high: Numbers
    share: bool


def _paths(result: Result, metric: str, confidence: float) -> dict[str, _Path]:
    check_metric(result, metric)
    found: dict[str, _Path] = {}
    for fault in result.faults[: len(CURVES)]:
        trials = trials_of(result, fault)
        finite = np.isfinite(trials.values[metric])
        number, values = trials.number[finite], trials.values[metric][finite]
        if values.size > 1 and trials.estimator is not None:
            found[str(fault)] = _weighted(trials.estimator, number, values, confidence)
        elif values.size > 1:
            found[str(fault)] = path(values, result.golden[metric], confidence)
    if not found:
        raise CampaignError(
            f"no fault model has two trials in which {metric} is finite, so that there is no interval to draw"
        )
    return found


def path(values: Numbers, golden: float, confidence: float) -> _Path:
    """Mean and interval of the first ``n`` values, for growing ``n``."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    n = _points(values.size, _POINTS)
    mean = np.cumsum(values)[n - 1] / n
    variance = np.maximum(
        np.cumsum((values - values.mean()) ** 2)[n - 1] / n - (mean - values.mean()) ** 2, 0
    )
    share = bool(0 <= golden <= 1 and values.min() >= 0 and values.max() <= 1)
    if share:
        shrink = 1 + z**2 / n
        half = z / shrink * np.sqrt(variance / n + (z / (2 * n)) ** 2)
        middle = (mean + z**2 / (2 * n)) / shrink
        return _Path(n, mean, np.maximum(middle - half, 0), np.minimum(middle + half, 1), share)
    half = z * np.sqrt(variance / (n - 1))
    return _Path(n, mean, mean - half, mean + half, share)


def _weighted(estimator: Estimator, number: Integers, values: Numbers, confidence: float) -> _Path:
    """The same by an estimator that weighs the trials, at fewer points."""
    n = _points(values.size, _POINTS_WEIGHTED)
    found = [estimator.estimate(number[:k], values[:k], confidence) for k in n.tolist()]
    mean, low, high = (
        np.array(c) for c in zip(*((i.estimate, i.low, i.high) for i in found), strict=True)
    )
    if values.min() < 0 or values.max() > 1:
        return _Path(n, mean, low, high, share=False)
    return _Path(n, mean, np.maximum(low, 0), np.minimum(high, 1), share=True)


def _points(size: int, most: int) -> Integers:
    """Numbers of trials at equal distances of their logarithms."""
    return np.unique(np.geomspace(max(2, size // 100), size, most).round()).astype(np.int64)


def _finish(axes: "Axes") -> None:
    logarithmic(axes, "x")
    axes.grid(visible=True, color=LINE, linewidth=0.8)
    if len(axes.get_legend_handles_labels()[1]) > 1:
        legend(axes)


def _ends(paths: dict[str, _Path]) -> str:
    n = spread(int(path.n[-1]) for path in paths.values())
    return f"; n = {n} for each fault model" if len(paths) > 1 else f"; n = {n}"
