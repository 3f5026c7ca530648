"""Variance and sparsity by depth."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from clipact.errors import SparsityError
from clipact.report._style import (
    CURVES,
    LINE,
    MARKERS,
    SOFT,
    label,
    legend,
    picture,
    verbatim,
)
from clipact.sparsity import DepthCheck

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def depth_profile(checks: DepthCheck | Mapping[str, DepthCheck]) -> "Figure":
    """Draw the variance before each activation and the share of zeros behind it, against depth.

    Dashed is what the theory says. A curve ends where the signal is no longer finite.

    Args:
        checks: From :func:`clipact.sparsity.check_`; several with a name each.

    Returns:
        A matplotlib figure with two panels.

    Raises:
        SparsityError: There is nothing to draw.
        MissingExtraError: matplotlib is not installed.
    """
    named = {"": checks} if isinstance(checks, DepthCheck) else dict(checks)
    if not named or not any(named.values()):
        raise SparsityError(
            "depth_profile() got no activation to draw; give what check_() returned"
        )
    figure, upper = picture(height=6.2)
    grid = figure.add_gridspec(2, 1)
    upper.set_subplotspec(grid[0])
    lower = figure.add_subplot(grid[1], sharex=upper, facecolor="none")
    _dress(lower, upper)
    for place, (name, check) in enumerate(named.items()):
        _draw(upper, lower, place, name, check)
    upper.set_yscale("log")
    lower.set_ylim(-2, 102)
    if any(named):
        legend(upper)
    label(upper, "Variance before each activation, theory dashed", "", "mean square")
    label(lower, "Share of activations that are zero, theory dashed", "activation, in order", "zeros (%)")  # fmt: skip
    return figure


def _draw(upper: "Axes", lower: "Axes", place: int, name: str, check: DepthCheck) -> None:
    colour, marker = CURVES[place % len(CURVES)], MARKERS[place % len(MARKERS)]
    depth = range(1, len(check) + 1)
    size = 3.0 if len(check) > 40 else 5.0
    finite = [row.not_finite == 0 for row in check]
    pairs = list(zip(check, finite, strict=True))
    variances = [_positive(row.q) if ok else math.nan for row, ok in pairs]
    shares = [100 * row.sparsity if ok else math.nan for row, ok in pairs]
    expected = [_positive(row.expected_q) for row in check]
    zeros = [100 * row.expected_sparsity for row in check]
    for axes, found, theory in ((upper, variances, expected), (lower, shares, zeros)):
        axes.plot(
            depth,
            found,
            color=colour,
            marker=marker,
            markersize=size,
            linewidth=1.4,
            label=verbatim(name) or None,
        )
        axes.plot(depth, theory, color=colour, linestyle="--", linewidth=1.0, alpha=0.8)


def _positive(value: float) -> float:
    """What a logarithmic axis can show."""
    return value if 0.0 < value < math.inf else math.nan


def _dress(axes: "Axes", like: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SOFT)
    axes.tick_params(colors=SOFT, labelsize=9)
    for each in (axes, like):
        each.set_axisbelow(True)
        each.grid(visible=True, axis="y", color=LINE, linewidth=0.8)
