"""Which bits of which tensors are vulnerable."""

from typing import TYPE_CHECKING, final

import numpy as np

from clipact.faults import Result
from clipact.report._by_bit import mark_fields, single_bits
from clipact.report._by_tensor import highest
from clipact.report._columns import Integers
from clipact.report._fields import word_width
from clipact.report._rates import Rates, Singles
from clipact.report._style import INK, SOFT, label, picture, shortened, verbatim
from clipact.report._svg import hover
from clipact.report._trials import event

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NEVER = "#c9ced6"  # a cell without faults
_EDGE = "#fefefe"
_COLOURS = "Blues"  # light to dark: apart for colour-blind readers and in grey print
_NUMBERED = 240  # cells, up to which each says how many faults it had


def vulnerability_map(
    result: Result,
    *,
    metric: str = "sdc",
    tolerance: float = 0.0,
    top: int = 40,
    confidence: float = 0.95,
) -> "Figure":
    """Draw how often one fault moves a metric, for each tensor and bit position: a heat map.

    A grey cell had no fault. How many faults a cell had stands in it, or shows when the pointer rests on it in a page: a
    cell of three faults says little, whatever its colour.

    Args:
        result: Of a campaign with one fault a trial, such as ``BitFlip(count=1)``; trials with other numbers are left out.
        metric: What to look at.
        tolerance: How far from its golden value the metric may be without counting.
        top: At most so many tensors: those with the highest rates, in the model's order.
        confidence: Of the Wilson intervals that show with the pointer.

    Returns:
        A matplotlib figure.

    Raises:
        CampaignError: No trial had one fault only, faults replaced whole words, or there is no such metric.
        MissingExtraError: matplotlib is not installed.
    """
    singles = single_bits(result, metric, tolerance)
    width = word_width(int(singles.bit.max()))
    rows = highest(singles.by(singles.tensor, len(singles.names)), top)
    rates = singles.by(singles.tensor * width + singles.bit, len(singles.names) * width)
    figure, axes = picture(height=1.9 + 0.24 * max(rows.size, 4), width=9.0)
    axes.set_facecolor(_NEVER)
    cells = _Cells(singles, rates, rows, width)
    _draw(figure, axes, cells, confidence)
    axes.set_yticks(range(rows.size), [verbatim(shortened(name)) for name in cells.names])
    axes.set_ylim(rows.size - 0.5, -0.5)
    axes.set_xlim(width - 0.5, -0.5)
    axes.set_xticks(range(0, width, 1 if width <= 16 else 2 if width <= 32 else 4))
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    mark_fields(axes, result, singles)
    tried = rates.trials[rates.trials > 0]
    left_out = len(singles.names) - rows.size
    note = f"\n{left_out} tensors with lower rates left out" if left_out else ""
    label(
        axes,
        f"Faults with {event(metric, tolerance)}, by tensor and bit",
        f"bit of the word; n = {singles}, median {np.median(tried):g} a cell, none where grey{note}",
        "",
        above=14,
    )
    return figure


@final
class _Cells:
    """The cells that had faults: where they are, and their rates."""

    def __init__(self, singles: Singles, rates: Rates, rows: Integers, width: int) -> None:
        self.names = [singles.names[row] for row in rows.tolist()]
        self.rates = rates
        group = rows[:, None] * width + np.arange(width)
        self.row, self.bit = np.nonzero(rates.trials[group])
        self.group = group[self.row, self.bit]
        self.share = rates.share[self.group]


def _draw(figure: "Figure", axes: "Axes", cells: _Cells, confidence: float) -> None:
    from matplotlib import cm, colormaps, colors, patches  # noqa: PLC0415 - optional, and slow to import

    top = 100.0 * max(float(cells.share.max()), 1e-9)
    shades = cm.ScalarMappable(colors.Normalize(0.0, top), colormaps[_COLOURS])
    for place, group in enumerate(cells.group.tolist()):
        row, bit = int(cells.row[place]), int(cells.bit[place])
        shade = shades.to_rgba(100.0 * cells.share[place])
        cell = patches.Rectangle(
            (bit - 0.5, row - 0.5), 1, 1, facecolor=shade, edgecolor=_EDGE, linewidth=0.6
        )
        cell.set_gid(hover(f"{cells.names[row]}, bit {bit}: {cells.rates.told(group, confidence)}"))
        axes.add_patch(cell)
        if cells.group.size <= _NUMBERED:
            dark = 100.0 * cells.share[place] > 0.55 * top
            trials = f"{int(cells.rates.trials[group]):,}"
            axes.text(
                bit,
                row,
                trials,
                ha="center",
                va="center",
                fontsize=6.5,
                color=_EDGE if dark else "#333333",
            )
    bar = figure.colorbar(shades, ax=axes, pad=0.015, fraction=0.04, aspect=30)
    bar.set_label("share of faults (%)", color=SOFT, fontsize=9.5)
    bar.ax.tick_params(colors=SOFT, labelcolor=INK, labelsize=9)
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set(rasterized=False, edgecolor="face")  # no image inside the SVG
