"""The page of a campaign, or of several."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from clipact.errors import CampaignError
from clipact.faults import BitFlip, Result
from clipact.report._comparison import comparison
from clipact.report._facts import facts
from clipact.report._measured import measured
from clipact.report._page import Section, write_page
from clipact.report._parts import parts, rates
from clipact.report._trials import check_metric
from clipact.report._view import View


def campaign_page(  # noqa: PLR0913 - how it is looked at, by keyword
    result: Result | Mapping[str, Result],
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    metric: str | None = None,
    tolerance: float = 0.0,
    margin: float | None = None,
    confidence: float = 0.95,
    more: Sequence[Section] = (),
) -> Path:
    """Write what a campaign found as one HTML file: numbers, how they were measured, every picture that makes sense.

    Nothing is loaded from elsewhere, so that the file can be sent and kept. It follows the light or dark mode of the reader, and
    prints. Several campaigns, by name, are compared first.

    Args:
        result: Of a campaign, or several by name.
        path: The file to write; its folder is made if needed.
        title: Above the page, if something else should stand there.
        metric: What makes a fault bad; ``sdc`` if None and there is one, else the first metric.
        tolerance: How far from its golden value the metric may be without a fault being bad.
        margin: Half width of the interval aimed at, in the metric's unit, drawn as a line; None for none.
        confidence: Of all intervals.
        more: What else to say, at the end.

    Returns:
        The path written.

    Raises:
        CampaignError: No result, one without trials, or no such metric.
        MissingExtraError: matplotlib or Jinja is not installed.

    Examples:
        >>> import torch
        >>> from clipact import faults
        >>> model = torch.nn.Linear(4, 4)
        >>> evaluation = faults.Classification([(torch.eye(4), torch.arange(4))])
        >>> campaign = faults.Campaign(
        ...     model, evaluation, fault=faults.BitFlip(count=1), target=faults.Weights(), trials=20
        ... )
        >>> folder = getfixture("tmp_path")
        >>> campaign_page(campaign.run(progress=False), folder / "report.html").name
        'report.html'
    """
    named = {"": result} if isinstance(result, Result) else dict(result)
    first = _first(named)
    for what, value in (("tolerance", tolerance), ("margin", margin)):
        if value is not None and not value >= 0.0:
            raise CampaignError(f"campaign_page({what}={value}): give a number of at least 0")
    chosen = _metric(named) if metric is None else metric
    for each in named.values():
        check_metric(each, chosen)
    view = View(chosen, tolerance, margin, confidence)
    sections = [section for name, each in named.items() for section in _of_one(name, each, view)]
    if len(named) > 1:
        several = [*comparison(named, view), *sections, *more]
        lead = f"{len(named)} campaigns: {', '.join(named)}."
        return write_page(path, title or "Fault campaigns compared", lead, several)
    trials = f"{len(first):,} trials" + (f" on {first.data}" if first.data else "")
    lead = f"{trials}. {first.description}."
    return write_page(
        path, title or _title(first), lead, [*sections, *more], facts=facts(first, view)
    )


def _first(named: Mapping[str, Result]) -> Result:
    """The first of the results, none of which is empty."""
    if not named:
        raise CampaignError("campaign_page() got no result; give at least one")
    for name, result in named.items():
        if not len(result):
            raise CampaignError(
                f"the campaign{f' {name!r}' if name else ''} has no trial yet, so that there is nothing to show"
            )
    return next(iter(named.values()))


def _metric(named: Mapping[str, Result]) -> str:
    """One that all have."""
    common = [
        metric
        for metric in next(iter(named.values())).golden
        if all(metric in result.golden for result in named.values())
    ]
    if not common:
        had = "; ".join(f"{name}: {', '.join(result.golden)}" for name, result in named.items())
        raise CampaignError(
            f"there is no metric that every campaign has ({had}); give campaigns with the same evaluation"
        )
    return "sdc" if "sdc" in common else common[0]


def _title(result: Result) -> str:
    models = result.faults
    if rates(result):
        ends = sorted(f.rate for f in models if isinstance(f, BitFlip) and f.rate)
        return f"Bit error rates from {ends[0]:g} to {ends[-1]:g} on {result.target}"
    named = str(models[0]) if len(models) == 1 else f"{len(models)} fault models"
    return f"{named} on {result.target}"


def _of_one(name: str, result: Result, view: View) -> Iterator[Section]:
    """The sections of one campaign, under its name if there are several."""
    for section in [*parts(result, view), measured(result)]:
        yield replace(section, chapter=name)
