"""Accuracy against bit error rate."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from clipact.errors import CampaignError, MissingExtraError
from clipact.faults import BitFlip, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that stay apart in print and for colour-blind readers (Okabe and Ito, 2008), with a marker each.
_COLOURS = ("#000000", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")
_MARKERS = "osD^vPX*"


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
        title: Above the picture.
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
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        raise MissingExtraError("pictures need matplotlib: pip install 'clipact[report]'") from None
    goldens = sorted({result.golden[metric] for result in named.values()})
    ends = [end for _, _, lows, highs in curves.values() for end in (*lows, *highs)]
    share = all(0.0 <= value <= 1.0 for value in (*goldens, *ends))
    unit = 100.0 if share else 1.0
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.add_subplot()
    for place, (name, curve) in enumerate(curves.items()):
        _draw(axes, place, name, curve, unit)
    for place, value in enumerate(goldens):
        axes.axhline(
            unit * value,
            color="0.45",
            linestyle="--",
            linewidth=1,
            label=None if place else "golden",
        )
    axes.set_ylabel(f"{metric}{' (%)' if share else ''}, mean with {100 * confidence:g} % interval")
    if share:
        axes.set_ylim(-2, 102)
    _decorate(axes, title)
    return figure


Curve = tuple[list[float], list[float], list[float], list[float]]


def _draw(axes: "Axes", place: int, name: str, curve: Curve, unit: float) -> None:
    rates, means, lows, highs = curve
    colour, marker = _COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)]
    label = name.replace("$", r"\$")  # a dollar starts mathematics, an underscore hides the name
    label = f" {label}" if label.startswith("_") else label
    axes.fill_between(
        rates,
        [unit * y for y in lows],
        [unit * y for y in highs],
        color=colour,
        alpha=0.16,
        linewidth=0,
    )
    axes.plot(
        rates,
        [unit * y for y in means],
        color=colour,
        marker=marker,
        markersize=5,
        linewidth=1.8,
        label=label,
    )


def _curve(name: str, result: Result, metric: str, confidence: float) -> Curve:
    """Rates, means, lower and upper ends, by rising rate."""
    if metric not in result.golden:
        raise CampaignError(f"{name} has no metric {metric!r}; it has {', '.join(result.golden)}")
    points: list[tuple[float, float, float, float]] = []
    for row in result.summary(confidence=confidence).rows:
        if not isinstance(row.fault, BitFlip) or not row.fault.rate:
            raise CampaignError(
                f"{name} has trials of {row.fault}; a curve over bit error rates needs BitFlip(rate=…) above 0"
            )
        mean = row.means[metric]
        points.append((row.fault.rate, mean.estimate, mean.low, mean.high))
    rates, means, lows, highs = (list(column) for column in zip(*sorted(points), strict=True))
    return rates, means, lows, highs


def _decorate(axes: "Axes", title: str | None) -> None:
    axes.set_xscale("log")
    axes.set_xlabel("bit error rate")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    if title:
        axes.set_title(title, loc="left")
