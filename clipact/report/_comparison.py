"""Several campaigns side by side."""

from collections.abc import Iterator, Mapping

from clipact.errors import CampaignError
from clipact.faults import Comparison, Result, compare
from clipact.report._curves import accuracy_vs_ber
from clipact.report._page import Section, Table
from clipact.report._parts import level, rates
from clipact.report._view import View


def comparison(named: Mapping[str, Result], view: View) -> Iterator[Section]:
    """Curves in one picture where all have bit error rates, and paired differences where all met the same faults.

    Raises:
        CampaignError: A campaign lacks the metric of the others.
    """
    metric = level(next(iter(named.values())))
    if all(rates(result) for result in named.values()):
        figure = accuracy_vs_ber(named, metric=metric, confidence=view.confidence)
        yield Section("Against the bit error rate", figures=[figure])
    try:
        tables = [
            _differences(compare(named, metric=m, confidence=view.confidence))
            for m in dict.fromkeys((metric, view.metric))
        ]
    except CampaignError as error:
        yield Section("Differences", f"Not shown: {error}.")
        return
    text = f"Trial by trial under the same faults, with {100 * view.confidence:g} % intervals over the pairs."
    yield Section("Differences", text, tables=tables)


def _differences(found: Comparison) -> Table:
    base = {row.fault: row.mean for row in found.rows if row.name == found.baseline}
    header = [
        "campaign",
        "fault model",
        "pairs",
        f"mean {found.metric}",
        f"of {found.baseline}",
        "difference",
    ]
    rows: list[list[str]] = []
    for row in found.rows:
        if row.name != found.baseline:
            d = row.difference
            means = [f"{mean:.4f}" for mean in (row.mean, base[row.fault])]
            shown = f"{d.estimate:+.4f} [{d.low:+.4f}, {d.high:+.4f}]"
            rows.append([row.name, str(row.fault), f"{row.pairs:,}", *means, shown])
    return Table(header, rows)
