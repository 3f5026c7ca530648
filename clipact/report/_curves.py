"""Accuracy against bit error rate."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from clipact.errors import CampaignError
from clipact.faults import BitFlip, Interval, Result
from clipact.report._style import (
    CURVES,
    LINE,
    MARKERS,
    SOFT,
    label,
    legend,
    picture,
    spread,
    verbatim,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def accuracy_vs_ber(
    results: Mapping[str, Result] | Sequence[Result],
    *,
    metric: str = "accuracy",
    title: str | None = None,
    confidence: float = 0.95,
) -> "Figure":
    """Draw a metric against the bit error rate, one curve a result, with bands.

    A band is the bootstrap interval of the mean over trials; dashed lines are the golden runs. A metric that lies
    between 0 and 1 everywhere is drawn in percent, any other in its own unit.

    Args:
        results: Results of campaigns over several ``BitFlip(rate=…)``, with a name each, or named by place.
        metric: What to draw.
        title: Above the picture, if something else should stand there.
        confidence: Of the bands.

    Returns:
        A matplotlib figure; ``figure.savefig("accuracy.png")`` writes it.

    Raises:
        CampaignError: No result, or one without rates or without the metric.
        MissingExtraError: matplotlib is not installed.
    """
    named = (
        results
        if isinstance(results, Mapping)
        else {f"campaign {i + 1}": r for i, r in enumerate(results)}
    )
    curves = {name: _curve(name, result, metric, confidence) for name, result in named.items()}
    if not curves:
        raise CampaignError("accuracy_vs_ber() got no result; give at least one")
    goldens = sorted({result.golden[metric] for result in named.values()})
    points = [point for curve in curves.values() for point in curve]
    ends = [end for point in points for end in (point.mean.low, point.mean.high)]
    share = all(0.0 <= value <= 1.0 for value in (*goldens, *ends))
    unit = 100.0 if share else 1.0
    figure, axes = picture(height=4.6)
    for place, (name, curve) in enumerate(curves.items()):
        _draw(axes, place, name, curve, unit)
    for place, value in enumerate(goldens):
        once = None if place else "golden"
        axes.axhline(unit * value, color=SOFT, linestyle="--", linewidth=1, label=once)
    if share:
        axes.set_ylim(-2, 102)
    axes.set_xscale("log")
    axes.grid(visible=True, which="major", color=LINE, linewidth=0.8)
    legend(axes)
    label(
        axes,
        f"{metric} against bit error rate" if title is None else title,
        f"bit error rate; n = {spread(point.trials for point in points)} trials a point",
        f"{metric}{' (%)' if share else ''}, mean with {100 * confidence:g} % interval",
    )
    return figure


class _Point(NamedTuple):
    """What was found at a rate."""

    rate: float
    mean: Interval
    trials: int


def _draw(axes: "Axes", place: int, name: str, curve: list[_Point], unit: float) -> None:
    colour, marker = CURVES[place % len(CURVES)], MARKERS[place % len(MARKERS)]
    rates = [point.rate for point in curve]
    lows, highs = (
        [unit * end for end in ends]
        for ends in zip(*((p.mean.low, p.mean.high) for p in curve), strict=True)
    )
    axes.fill_between(rates, lows, highs, color=colour, alpha=0.16, linewidth=0)
    axes.plot(
        rates,
        [unit * point.mean.estimate for point in curve],
        color=colour,
        marker=marker,
        markersize=5,
        linewidth=1.8,
        label=verbatim(name),
    )


def _curve(name: str, result: Result, metric: str, confidence: float) -> list[_Point]:
    """By rising rate."""
    if metric not in result.golden:
        raise CampaignError(f"{name} has no metric {metric!r}; it has {', '.join(result.golden)}")
    points: list[_Point] = []
    for row in result.summary(confidence=confidence).rows:
        if not isinstance(row.fault, BitFlip) or not row.fault.rate:
            raise CampaignError(
                f"{name} has trials of {row.fault}; a curve over bit error rates needs BitFlip(rate=…) above 0"
            )
        if row.trials:
            points.append(_Point(row.fault.rate, row.means[metric], row.trials))
    if not points:
        raise CampaignError(f"{name} has no trial yet, so that there is no curve to draw")
    return sorted(points, key=lambda point: point.rate)
