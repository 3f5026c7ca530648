"""The parts of a campaign's page, each where it makes sense."""

from collections.abc import Iterator

import numpy as np

from clipact.errors import CampaignError
from clipact.faults import BitFlip, Result
from clipact.report._by_bit import vulnerability_by_bit
from clipact.report._by_tensor import vulnerability_by_tensor
from clipact.report._convergence import estimate_so_far, interval_width
from clipact.report._curves import accuracy_vs_ber
from clipact.report._drop import metric_drop
from clipact.report._map import vulnerability_map
from clipact.report._outcomes import outcomes
from clipact.report._page import Section
from clipact.report._singles import single_faults
from clipact.report._tables import bit_table, failure_table, summary_table, tensor_table
from clipact.report._view import View

_EVENTS = frozenset({"sdc", "due", "critical", "tolerable"})


def parts(result: Result, view: View) -> Iterator[Section]:
    """The sections of one campaign.

    Raises:
        CampaignError: There is no such metric.
    """
    yield _summary(result, view)
    if rates(result):
        curve = accuracy_vs_ber({"mean": result}, metric=level(result), confidence=view.confidence)
        yield Section("Against the bit error rate", figures=[curve])
    yield _outcomes(result, view)
    yield from _maps(result, view)
    yield from _certainty(result, view)
    if result.columns.errors:
        text = "The evaluation raised in these trials. They are counted, and left out of means, shares and maps."
        yield Section("Failures", text, tables=[failure_table(result)])


def rates(result: Result) -> bool:
    """Whether the campaign is a curve over bit error rates."""
    models = result.faults
    return len(models) > 1 and all(isinstance(f, BitFlip) and bool(f.rate) for f in models)


def level(result: Result) -> str:
    """The metric whose level matters, such as accuracy, rather than its events."""
    return next((m for m in result.golden if m not in _EVENTS), next(iter(result.golden)))


def _summary(result: Result, view: View) -> Section:
    text = (
        f"Means over trials with {100 * view.confidence:g} % intervals. Under 'trials with …' a trial counts once, however many of its"
        " samples are hit."
    )
    return Section("Summary", text, tables=[summary_table(result, view.confidence)])


def _outcomes(result: Result, view: View) -> Section:
    figures, metric = [outcomes(result, confidence=view.confidence)], level(result)
    text = "Each trial counts once, as the worst that happened in it."
    if np.isfinite(result.golden[metric] - result.values(metric)).any():
        figures.append(metric_drop(result, metric=metric))
        text += f" How far {metric} falls has a logarithmic scale, so that rare disasters show."
    return Section("Outcomes", text, figures)


def _maps(result: Result, view: View) -> Iterator[Section]:
    """By tensor, by bit, by both; a sentence where the campaign has no single faults."""
    metric, tolerance, confidence = view.metric, view.tolerance, view.confidence
    try:
        singles = single_faults(result, metric, tolerance)
    except CampaignError as error:
        yield Section("By tensor and bit", f"Not shown: {error}.")
        return
    text = (
        f"{len(singles):,} of {singles.of:,} trials had one fault only and did not fail. A fault counts in full if it moves"
        f" {metric} at all{f' by more than {tolerance:g}' if tolerance else ''}; mean {metric} says by how much."
    )
    figure = vulnerability_by_tensor(
        result, metric=metric, tolerance=tolerance, confidence=confidence
    )
    yield Section("By tensor", text, [figure], [tensor_table(singles, view)])
    if (singles.bit < 0).any():
        yield Section("By bit", "Not shown: the faults replace whole words.")
        return
    figure = vulnerability_by_bit(result, metric=metric, tolerance=tolerance, confidence=confidence)
    text = (
        "The most significant bit is on the left, and bits that rise stand beside those that fall."
    )
    yield Section("By bit", text, [figure], [bit_table(result, singles, view)])
    figure = vulnerability_map(result, metric=metric, tolerance=tolerance, confidence=confidence)
    text = "Rest the pointer on a cell for its numbers: a cell of few faults says little, whatever its colour."
    yield Section("By tensor and bit", text, [figure])


def _certainty(result: Result, view: View) -> Iterator[Section]:
    """How sure the mean is; nothing where no fault model has two finite trials."""
    metric, confidence = view.metric, view.confidence
    try:
        figures = [
            estimate_so_far(result, metric=metric, confidence=confidence),
            interval_width(result, metric=metric, margin=view.margin, confidence=confidence),
        ]
    except CampaignError:
        return
    text = (
        "Steps in the estimate come from rare trials: while it still steps, the campaign is too short. The width falls with the"
        " square root of the trials: half of it takes four times as many."
    )
    yield Section("How sure this is", text, figures)
