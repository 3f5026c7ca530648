"""Sparsity by site."""

from typing import TYPE_CHECKING

from clipact.errors import SparsityError
from clipact.report._style import (
    BLUE,
    INK,
    LINE,
    ORANGE,
    RED,
    label,
    percent,
    picture,
    shortened,
    verbatim,
)
from clipact.sparsity import SparsityMeter, SparsityTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def sparsity_by_site(meter: SparsityMeter | SparsityTable) -> "Figure":
    """Draw the share of zeros of every site: a bar forward, a diamond backward, and a tick for dead units.

    Args:
        meter: What has counted, or its table.

    Returns:
        A matplotlib figure.

    Raises:
        SparsityError: No site has run.
        MissingExtraError: matplotlib is not installed.
    """
    table = meter.table() if isinstance(meter, SparsityMeter) else meter
    if not len(table):
        raise SparsityError("sparsity_by_site() got no site; run the model inside the meter first")
    figure, axes = picture(height=1.6 + 0.26 * max(len(table), 4))
    rows = range(len(table))
    forward = [100 * row.sparsity for row in table]
    axes.barh(rows, forward, height=0.68, color=BLUE, alpha=0.75, linewidth=0, label="activations")
    backward = [100 * row.gradient_sparsity for row in table]
    if any(row.gradient_values for row in table):
        axes.plot(backward, rows, "D", color=ORANGE, markersize=5, label="gradients")
    dead = [100 * row.dead / row.units if row.units else 0.0 for row in table]
    axes.plot(dead, rows, "|", color=RED, markersize=11, markeredgewidth=2, label="dead units")
    axes.axvline(100 * table.sparsity, color=INK, linewidth=0.9, linestyle=":")
    axes.set_yticks(rows, [verbatim(shortened(row.name or "(model)")) for row in table])
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xlim(0, 102)
    axes.grid(visible=True, axis="x", color=LINE, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, labelcolor=INK, fontsize=9)  # fmt: skip
    broken = sum(row.not_finite for row in table)
    note = f"; {broken:,} values are not finite" if broken else ""
    label(
        axes,
        f"Zeros by site, {percent(table.sparsity)} of all activations (dotted)",
        f"share (%); n = {sum(row.values for row in table):,} values{note}",
        "",
    )
    return figure
