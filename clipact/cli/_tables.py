"""The demo's tables: what is left of the accuracy, and how the methods differ."""

from collections.abc import Mapping

import torch

from clipact import __version__, faults
from clipact.cli._demo import Outcome, Plan
from clipact.report import Table


def method_table(results: Mapping[str, faults.Result]) -> Table:
    """Header and rows: one method a row, one bit error rate a column, accuracy in percent with its interval."""
    first = next(iter(results.values()))
    header = [
        "accuracy (%) at BER",
        "golden",
        *(f"{fault.rate:.0e}" for fault in first.faults if isinstance(fault, faults.BitFlip)),
    ]
    rows: list[list[str]] = []
    for name, result in results.items():
        means = [row.means["accuracy"] for row in result.summary().rows]
        cells = [f"{100 * m.estimate:.1f} [{100 * m.low:.1f}, {100 * m.high:.1f}]" for m in means]
        rows.append([name, f"{100 * result.golden['accuracy']:.1f}", *cells])
    return Table(header, rows)


def event_table(results: Mapping[str, faults.Result], event: str) -> Table:
    """The same for SDC or DUE: the share of predictions, in percent."""
    rows = [
        [
            name,
            *(
                f"{100 * m.estimate:.1f} [{100 * m.low:.1f}, {100 * m.high:.1f}]"
                for m in (row.means[event] for row in result.summary().rows)
            ),
        ]
        for name, result in results.items()
    ]
    return Table([f"{event.upper()} (%) at BER", *method_table(results).header[2:]], rows)


def difference_table(comparison: faults.Comparison) -> Table:
    """Header and rows of a paired comparison, in points of accuracy."""
    rates = list(dict.fromkeys(row.fault for row in comparison.rows))
    names = [
        name
        for name in dict.fromkeys(row.name for row in comparison.rows)
        if name != comparison.baseline
    ]
    found = {(row.name, row.fault): row.difference for row in comparison.rows}
    header = [
        f"points over {comparison.baseline} at BER",
        *(f"{fault.rate:.0e}" for fault in rates if isinstance(fault, faults.BitFlip)),
    ]
    rows = [[name, *(_points(found[name, fault]) for fault in rates)] for name in names]
    return Table(header, rows)


def _points(interval: faults.Interval) -> str:
    return f"{100 * interval.estimate:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def conditions(plan: Plan, outcome: Outcome) -> str:
    """One sentence that says what was measured and how."""
    return (
        f"{outcome.data.name}; {outcome.parameters:,} parameters, {100 * outcome.accuracy:.1f} % of "
        f"{len(outcome.data.test[0]):,} held-out images right without faults. Bits of all weights and biases flip independently; "
        f"{plan.trials} trials for each cell, the same faults for every method; 95 % bootstrap intervals over trials, which "
        f"cannot show what happens in fewer than about {3 / plan.trials:.2g} of them. "
        f"Seed {plan.seed}, torch {torch.__version__}, clipact {__version__}."
    )
