"""What became of the trials."""

from typing import TYPE_CHECKING, Any, final

from clipact.errors import CampaignError
from clipact.faults import Result
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
from clipact.report._trials import Outcome, Trials, trials_of

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
        confidence: Of the intervals over trials.

    Returns:
        A matplotlib figure.

    Raises:
        CampaignError: There is no trial yet.
        MissingExtraError: matplotlib is not installed.
    """
    every = {fault: trials_of(result, fault) for fault in result.faults}
    rows = [_Row(str(fault), trials, confidence) for fault, trials in every.items() if len(trials)]
    if not rows:
        raise CampaignError("the campaign has no trial yet, so that there is no outcome to draw")
    return _bars(rows[0]) if len(rows) == 1 else _stacks(rows)


@final
class _Row:
    """What became of the trials of one fault model: how many, and what share with its interval."""

    def __init__(self, fault: str, trials: Trials, confidence: float) -> None:
        found = trials.outcomes()
        self.fault, self.trials, self.confidence = fault, len(trials), confidence
        self.weighted = trials.estimator is not None
        self.counts = {outcome: int(hit.sum()) for outcome, hit in found.items()}
        self.shares = {outcome: trials.share(hit, confidence) for outcome, hit in found.items()}

    def told(self, outcome: Outcome) -> str:
        """In words."""
        share = self.shares[outcome]
        ends = f"[{percent(share.low)}, {percent(share.high)}]"
        of = f"{self.counts[outcome]:,} of {self.trials:,} trials, {percent(share.estimate)} {ends}"
        return f"{self.fault}, {outcome.value}: {of}"

    @property
    def how(self) -> str:
        """Whose intervals these are."""
        return f"{100 * self.confidence:g} % {'interval, weighted' if self.weighted else 'Wilson interval'}"


def _bars(row: _Row) -> "Figure":
    """One fault model: a bar for each outcome, with its interval."""
    figure, axes = picture(height=1.5 + 0.42 * len(row.counts), width=6.8)
    for y, (outcome, share) in enumerate(row.shares.items()):
        _bar(axes, (y, 0.0, share.estimate), outcome, row.told(outcome))
        ends = [100 * share.low, 100 * share.high]
        axes.plot(ends, [y, y], color=INK, linewidth=1.3, solid_capstyle="butt")
        axes.annotate(
            f"{percent(share.estimate)}  ({row.counts[outcome]:,})", (ends[1], y), xytext=(6, 0),
            textcoords="offset points", va="center", color=SOFT, fontsize=8.5,
        )  # fmt: skip
    axes.set_yticks(range(len(row.counts)), [outcome.value for outcome in row.counts])
    axes.set_ylim(len(row.counts) - 0.4, -0.6)
    axes.set_xlim(0, 112)
    axes.set_xticks(range(0, 101, 20))
    title = f"What became of the trials of {verbatim(row.fault)}"
    _finish(axes, title, f", {row.how}; n = {row.trials:,}")
    return figure


def _stacks(rows: list[_Row]) -> "Figure":
    """Several: a stack for each."""
    figure, axes = picture(height=1.9 + 0.36 * len(rows), width=6.8)
    for y, row in enumerate(rows):
        start = 0.0
        for outcome in (o for o in _STYLES if row.counts.get(o)):
            share = row.shares[outcome].estimate
            _bar(axes, (y, start, share), outcome, row.told(outcome))
            if share > 0.07:
                middle = 100 * (start + share / 2)
                axes.text(middle, y, percent(share), ha="center", va="center", fontsize=8, color="#010101",
                          bbox={"facecolor": _STYLES[outcome][0], "edgecolor": "none", "pad": 1.5})  # fmt: skip
            start += share
    axes.set_yticks(range(len(rows)), [verbatim(shortened(row.fault)) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    handles, names = _unique(axes)
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=2,
        frameon=False,
        labelcolor=INK,
        fontsize=9,
    )
    note = f"; n = {spread(row.trials for row in rows)} for each fault model"
    _finish(axes, "What became of the trials, by fault model", note)
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
