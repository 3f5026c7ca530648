"""Tables of a campaign's page."""

from collections import Counter
from math import isnan

import numpy as np

from clipact.faults import Interval, Result, SummaryRow
from clipact.report._by_tensor import highest
from clipact.report._fields import fields
from clipact.report._page import Table
from clipact.report._rates import Rates, Singles
from clipact.report._style import percent
from clipact.report._trials import is_share, within
from clipact.report._view import View

_SHOWN = 15  # tensors
_LAST_LINE = 300  # characters of an error


def summary_table(result: Result, confidence: float) -> Table:
    """The golden run, and one row a fault model."""
    summary = result.summary(confidence=confidence)
    events = list(summary.rows[0].any_trial) if summary.rows else []
    failed = any(row.failed for row in summary.rows)
    header = [
        "fault model",
        "trials",
        "bits hit",
        *result.golden,
        *(f"trials with {e}" for e in events),
    ]
    rows = [
        [
            "golden run, no fault",
            "",
            "",
            *map(_golden, result.golden.values()),
            *[""] * len(events),
        ]
    ]
    rows += [_summary_row(row, result, events) for row in summary.rows]
    if failed:
        header.append("failed")
        rows = [
            [*rows[0], ""],
            *(
                [*cells, f"{row.failed:,}"]
                for cells, row in zip(rows[1:], summary.rows, strict=True)
            ),
        ]
    return Table(header, rows)


def _golden(value: float) -> str:
    return percent(value) if 0.0 <= value <= 1.0 else f"{value:.4g}"


def _summary_row(row: SummaryRow, result: Result, events: list[str]) -> list[str]:
    means = [
        f"{row.not_finite[m]:,} not finite"
        if row.not_finite[m]
        else _interval(within(row.means[m], is_share(result, m)))
        for m in result.golden
    ]
    shares = [_interval(within(row.any_trial[e], share=True)) for e in events]
    flips = f"{row.flips:,.{0 if row.flips >= 100 else 1}f}" if row.trials else "–"
    return [str(row.fault), f"{row.trials:,}", flips, *means, *shares]


def tensor_table(singles: Singles, view: View) -> Table:
    """The most vulnerable tensors, the worst first."""
    rates = singles.by(singles.tensor, len(singles.names))
    worst = highest(rates, _SHOWN)
    worst = worst[np.argsort(-rates.share[worst], kind="stable")]
    header = ["tensor", "faults", *_columns(view)]
    return Table(header, [[singles.names[g], *_cells(rates, g, view)] for g in worst.tolist()])


def bit_table(result: Result, singles: Singles, view: View) -> Table:
    """Bits with faults that moved the metric, the worst first, and how many of them rose."""
    width = int(singles.bit.max()) + 1
    rates = singles.by(singles.bit, width)
    up = singles.by(np.where(singles.rising > 0, singles.bit, -1), width)
    down = singles.by(np.where(singles.rising < 0, singles.bit, -1), width)
    names = {
        bit: f.name for f in fields(result.format, singles) for bit in range(f.low, f.high + 1)
    }
    hit = np.flatnonzero(rates.hits)
    worst = hit[np.argsort(-rates.share[hit], kind="stable")].tolist()
    header = ["bit", "faults", *_columns(view), "0 → 1", "1 → 0"]
    rows = [
        [
            f"{b} {names.get(b, '')}".strip(),
            *_cells(rates, b, view),
            _of(up, b),
            _of(down, b),
        ]
        for b in worst
    ]
    return Table(header, rows)


def failure_table(result: Result) -> Table:
    """What evaluations raised: the last lines of their tracebacks, the most frequent first."""
    columns = result.columns
    lines = {row: _last_line(text) for row, text in columns.errors.items()}
    first: dict[str, int] = {}
    for row, line in lines.items():
        first.setdefault(line, row)
    rows: list[list[str]] = []
    for line, times in Counter(lines.values()).most_common():
        row = first[line]
        fault = result.faults[int(columns.fault[row])]
        rows.append([f"{times:,}", f"trial {int(columns.trial[row]):,} of {fault}", line])
    return Table(["trials", "first in", "error"], rows, prose=True)


def _columns(view: View) -> list[str]:
    bad = f"{view.metric} off by > {view.tolerance:g}" if view.tolerance else f"with {view.metric}"
    return [bad, "rate", f"mean {view.metric}", f"of all {bad}"]


def _cells(rates: Rates, group: int, view: View) -> list[str]:
    share = _interval(rates.interval(group, view.confidence))
    of_all = "–" if isnan(rates.of_all[group]) else percent(float(rates.of_all[group]))
    counts = [f"{int(n[group]):,}" for n in (rates.trials, rates.hits)]
    return [*counts, share, f"{rates.mean[group]:.4g}", of_all]


def _of(rates: Rates, group: int) -> str:
    return f"{int(rates.hits[group]):,} of {int(rates.trials[group]):,}"


def _interval(found: Interval) -> str:
    """In percent where all three numbers are shares."""
    if isnan(found.estimate):
        return "–"
    if found.low >= 0.0 and found.high <= 1.0:
        low, high = (percent(x).removesuffix(" %") for x in (found.low, found.high))
        return f"{percent(found.estimate)} [{low}, {high}]"
    return f"{found.estimate:.4g} [{found.low:.4g}, {found.high:.4g}]"


def _last_line(traceback: str) -> str:
    line = (traceback.strip().splitlines() or [""])[-1].strip()
    return line if len(line) <= _LAST_LINE else f"{line[:_LAST_LINE]}…"
