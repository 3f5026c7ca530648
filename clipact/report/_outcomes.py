"""What became of the trials."""

from typing import TYPE_CHECKING, Any

from clipact.faults import Result, wilson
from clipact.report._style import (
    BLUE,
    GREY,
    INK,
    LINE,
    ORANGE,
    PINK,
    RED,
    SOFT,
    label,
    percent,
    picture,
    shortened,
    spread,
    verbatim,
)
from clipact.report._svg import hover
from clipact.report._trials import Outcome, trials_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES = {
    Outcome.MASKED: (GREY, ""),
    Outcome.CHANGED: (BLUE, ".."),
    Outcome.SDC: (ORANGE, ""),
    Outcome.DUE: (RED, "////"),
    Outcome.FAILED: (PINK, "xx"),
}


def outcomes(result: Result, *, confidence: float = 0.95) -> "Figure":
    """Draw the share of trials that were masked, ended in SDC or DUE, or failed.

    A trial counts once, as the worst that happened in it: failed (the evaluation raised), DUE (an output with NaN or Inf), SDC
    (a changed prediction), another metric changed, or masked (every metric as in the golden run).

    Args:
        result: Of a campaign; each of its fault models is a group of bars.
        confidence: Of the Wilson intervals over trials.

    Returns:
        A matplotlib figure.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    counts = {str(fault): trials_of(result, fault).outcomes() for fault in result.faults}
    if len(counts) == 1:
        ((fault, found),) = counts.items()
        return _bars(fault, found, confidence)
    return _stacks(counts, confidence)


def _bars(fault: str, found: dict[Outcome, int], confidence: float) -> "Figure":
    """One fault model: a bar for each outcome, with its interval."""
    figure, axes = picture(height=1.5 + 0.42 * len(found), width=6.8)
    total = sum(found.values())
    for row, (outcome, count) in enumerate(found.items()):
        low, high = wilson(count, total, confidence)
        _bar(
            axes,
            (row, 0.0, count / total),
            outcome,
            _told(fault, outcome, count, total, confidence),
        )
        axes.plot(
            [100 * low, 100 * high], [row, row], color=INK, linewidth=1.3, solid_capstyle="butt"
        )
        axes.annotate(
            f"{percent(count / total)}  ({count:,})", (100 * high, row), xytext=(6, 0), textcoords="offset points",
            va="center", color=SOFT, fontsize=8.5,
        )  # fmt: skip
    axes.set_yticks(range(len(found)), [outcome.value for outcome in found])
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.set_xlim(0, 112)
    axes.set_xticks(range(0, 101, 20))
    _finish(
        axes,
        f"What became of the trials of {verbatim(fault)}",
        f", {100 * confidence:g} % Wilson interval; n = {total:,}",
    )
    return figure


def _stacks(counts: dict[str, dict[Outcome, int]], confidence: float) -> "Figure":
    """Several: a stack for each."""
    figure, axes = picture(height=1.9 + 0.36 * len(counts), width=6.8)
    for row, (fault, found) in enumerate(counts.items()):
        total, start = sum(found.values()), 0.0
        for outcome in (o for o in _STYLES if found.get(o)):
            share = found[outcome] / total
            told = _told(fault, outcome, found[outcome], total, confidence)
            _bar(axes, (row, start, share), outcome, told)
            if share > 0.07:
                middle = 100 * (start + share / 2)
                axes.text(middle, row, percent(share), ha="center", va="center", fontsize=8, color="#010101",
                          bbox={"facecolor": _STYLES[outcome][0], "edgecolor": "none", "pad": 1.5})  # fmt: skip
            start += share
    axes.set_yticks(range(len(counts)), [verbatim(shortened(fault)) for fault in counts])
    axes.set_ylim(len(counts) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    n = spread(sum(found.values()) for found in counts.values())
    figure.legend(
        *_unique(axes),
        loc="outside lower center",
        ncols=2,
        frameon=False,
        labelcolor=INK,
        fontsize=9,
    )
    _finish(axes, "What became of the trials, by fault model", f"; n = {n} for each fault model")
    return figure


def _bar(axes: "Axes", place: tuple[int, float, float], outcome: Outcome, told: str) -> None:
    row, start, share = place
    colour, hatch = _STYLES[outcome]
    (bar,) = axes.barh(
        row, 100 * share, left=100 * start, height=0.7, color=colour, hatch=hatch or None, edgecolor="#fefefe",
        linewidth=0.5, label=outcome.value,
    )  # fmt: skip
    bar.set_gid(hover(told))


def _finish(axes: "Axes", title: str, note: str) -> None:
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=True, axis="x", color=LINE, linewidth=0.8)
    label(axes, title, f"share of trials (%){note}", "")


def _unique(axes: "Axes") -> tuple[list[Any], list[str]]:
    """What a legend shows, each outcome once, as they are stacked."""
    handles, names = axes.get_legend_handles_labels()
    first = dict(zip(reversed(names), reversed(handles), strict=True))
    order = [outcome.value for outcome in _STYLES if outcome.value in first]
    return [first[name] for name in order], order


def _told(fault: str, outcome: Outcome, count: int, total: int, confidence: float) -> str:
    low, high = wilson(count, total, confidence)
    shares = f"{percent(count / total)} [{percent(low)}, {percent(high)}]"
    return f"{fault}, {outcome.value}: {count:,} of {total:,} trials, {shares}"
