"""Which tensors are vulnerable."""

from typing import TYPE_CHECKING

import numpy as np

from clipact.faults import Result
from clipact.report._columns import Integers
from clipact.report._rates import Rates
from clipact.report._singles import single_faults
from clipact.report._style import BLUE, INK, LINE, SOFT, label, picture, shortened, verbatim
from clipact.report._svg import hover
from clipact.report._trials import event

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def vulnerability_by_tensor(
    result: Result,
    *,
    metric: str = "sdc",
    tolerance: float = 0.0,
    top: int = 40,
    confidence: float = 0.95,
) -> "Figure":
    """Draw for each tensor how often one fault in it moves a metric, with Wilson intervals.

    Args:
        result: Of a campaign with one fault a trial, such as ``BitFlip(count=1)``; trials with other numbers are left out.
        metric: What to look at.
        tolerance: How far from its golden value the metric may be without counting.
        top: At most so many tensors: those with the highest rates, in the model's order.
        confidence: Of the intervals.

    Returns:
        A matplotlib figure.

    Raises:
        CampaignError: No trial had one fault only, or there is no such metric.
        MissingExtraError: matplotlib is not installed.
    """
    singles = single_faults(result, metric, tolerance)
    rates = singles.by(singles.tensor, len(singles.names))
    shown = highest(rates, top)
    figure, axes = picture(height=1.5 + 0.24 * max(shown.size, 4))
    _draw(axes, rates, shown, singles.names, confidence)
    axes.set_yticks(
        range(shown.size), [verbatim(shortened(singles.names[g])) for g in shown.tolist()]
    )
    axes.set_ylim(shown.size - 0.4, -0.6)
    axes.set_xlim(0, None)
    axes.grid(visible=True, axis="x", color=LINE, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    left_out = len(singles.names) - shown.size
    note = f"\n{left_out} tensors with lower rates left out" if left_out else ""
    label(
        axes,
        f"Faults with {event(metric, tolerance)}, by tensor",
        f"share of faults (%), {100 * confidence:g} % Wilson interval; n = {singles}{note}",
        "",
    )
    return figure


def highest(rates: Rates, top: int) -> Integers:
    """The groups with the highest rates, in order; among equal rates those with more trials."""
    tried = np.flatnonzero(rates.trials)
    order = np.lexsort((-rates.trials[tried], -rates.share[tried]))
    return np.sort(tried[order[:top]])


def _draw(
    axes: "Axes", rates: Rates, shown: Integers, names: tuple[str, ...], confidence: float
) -> None:
    bars = axes.barh(
        range(shown.size),
        100 * rates.share[shown],
        height=0.68,
        color=BLUE,
        alpha=0.75,
        linewidth=0,
    )
    for row, (group, bar) in enumerate(zip(shown.tolist(), bars, strict=True)):
        interval = rates.interval(group, confidence)
        bar.set_gid(hover(f"{names[group]}: {rates.told(group, confidence)}"))
        ends = [100 * interval.low, 100 * interval.high]
        axes.plot(ends, [row, row], color=INK, linewidth=1.3, solid_capstyle="butt")
        axes.annotate(
            f"{int(rates.hits[group]):,} / {int(rates.trials[group]):,}",
            (ends[1], row),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=SOFT,
            fontsize=7.5,
        )
