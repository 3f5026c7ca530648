"""Which bits of a word are vulnerable."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from clipact.errors import CampaignError
from clipact.faults import Result
from clipact.report._fields import fields, word_width
from clipact.report._rates import Rates, Singles
from clipact.report._singles import single_faults
from clipact.report._style import BLUE, LINE, ORANGE, SOFT, label, legend, picture
from clipact.report._svg import hover
from clipact.report._trials import event

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GROUP = 0.8  # width of the bars of one bit together


class _Series(NamedTuple):
    """Bars of one direction."""

    direction: int
    name: str
    colour: str
    hatch: str


_SERIES = (_Series(1, "0 → 1", BLUE, ""), _Series(-1, "1 → 0", ORANGE, "////"))


def vulnerability_by_bit(
    result: Result, *, metric: str = "sdc", tolerance: float = 0.0, confidence: float = 0.95
) -> "Figure":
    """Draw for each bit position how often one fault in it moves a metric, for bits that rise and bits that fall.

    The most significant bit is on the left, as words are written.

    Args:
        result: Of a campaign with one fault a trial, such as ``BitFlip(count=1)``; trials with other numbers are left out.
        metric: What to look at.
        tolerance: How far from its golden value the metric may be without counting.
        confidence: Of the Wilson intervals.

    Returns:
        A matplotlib figure.

    Raises:
        CampaignError: No trial had one fault only, faults replaced whole words, or there is no such metric.
        MissingExtraError: matplotlib is not installed.
    """
    singles = single_bits(result, metric, tolerance)
    width = word_width(int(singles.bit.max()))
    figure, axes = picture(height=4.3)
    told = [series for series in _SERIES if (singles.rising == series.direction).any()]
    for place, series in enumerate(told):
        rates = singles.by(np.where(singles.rising == series.direction, singles.bit, -1), width)
        offset = ((len(told) - 1) / 2 - place) * _GROUP / len(told)
        _draw(axes, rates, series, (offset, _GROUP / len(told)), confidence)
    axes.set_xlim(width - 0.4, -0.6)
    axes.set_ylim(0, None)
    axes.set_xticks(range(0, width, 1 if width <= 16 else 2 if width <= 32 else 4))
    axes.grid(visible=True, axis="y", color=LINE, linewidth=0.8)
    mark_fields(axes, result, singles)
    legend(axes)
    untold = int(np.count_nonzero(singles.rising == 0))
    note = f" ({untold:,} of them not shown: values do not tell the direction)" if untold else ""
    label(
        axes,
        f"Faults with {event(metric, tolerance)}, by bit",
        f"bit of the word; n = {singles}{note}",
        f"share of faults (%), {100 * confidence:g} % Wilson interval",
        above=14,
    )
    return figure


def single_bits(result: Result, metric: str, tolerance: float) -> Singles:
    """The trials with one fault of one bit.

    Raises:
        CampaignError: There is none.
    """
    singles = single_faults(result, metric, tolerance)
    if (singles.bit < 0).any():
        raise CampaignError(
            f"maps by bit need faults of single bits, and those of {result.faults[0]} replace whole words; run a campaign"
            " of BitFlip(count=1)"
        )
    return singles


def mark_fields(axes: "Axes", result: Result, singles: Singles) -> None:
    """Write above a picture with bits along x what they mean, where that is known."""
    for part in fields(result.format, singles):
        if part.low:
            axes.axvline(part.low - 0.5, color=SOFT, linewidth=0.8, linestyle=":")
        axes.annotate(
            part.name,
            ((part.low + part.high) / 2, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=SOFT,
            fontsize=8,
        )


def _draw(
    axes: "Axes", rates: Rates, series: _Series, place: tuple[float, float], confidence: float
) -> None:
    offset, width = place
    bits = np.flatnonzero(rates.trials)
    bars = axes.bar(
        bits + offset,
        100 * rates.share[bits],
        width,
        color=series.colour,
        alpha=0.85,
        hatch=series.hatch or None,
        edgecolor="#fefefe",
        linewidth=0,
        label=series.name,
    )
    for bit, bar in zip(bits.tolist(), bars, strict=True):
        interval = rates.interval(bit, confidence)
        bar.set_gid(hover(f"bit {bit}, {series.name}: {rates.told(bit, confidence)}"))
        ends = [100 * interval.low, 100 * interval.high]
        axes.plot([bit + offset] * 2, ends, color=SOFT, linewidth=0.9, solid_capstyle="butt")
