"""How many trials a campaign takes, in tables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torch import nn

from clipact._progress import duration
from clipact.errors import FaultError
from clipact.faults import Campaign, Format, Result, Target, sample_size
from clipact.report import Table

_HARDLY_EVER = 0.01  # flips a trial
_FEW = 3  # trials that tell how many a probe has time for


@final
@dataclass(frozen=True)
class Part:
    """The bits of one tensor."""

    name: str
    words: int
    bits: int


def tensors(model: nn.Module, target: Target, number_format: Format) -> list[Part]:
    """The tensors of a target, in the model's order.

    Raises:
        SelectionError: There is none.
        FaultError: One has no such format.
    """
    found = target.tensors(model)
    widths = [number_format.width(t.tensor.dtype) for t in found]
    return [
        Part(t.name, t.tensor.numel(), t.tensor.numel() * width)
        for t, width in zip(found, widths, strict=True)
    ]


def tensor_table(parts: Sequence[Part], margin: float, confidence: float) -> Table:
    """Of each tensor its bits, the faults a uniform sample gives it, and those that it takes to know it alone."""
    total = sum(part.bits for part in parts)
    whole = sample_size(total, margin=margin, confidence=confidence)
    rows: list[list[str]] = []
    for part in parts:
        alone = sample_size(part.bits, margin=margin, confidence=confidence)
        given = whole * part.bits / total
        rows.append(
            [
                part.name,
                f"{part.words:,}",
                f"{part.bits:,}",
                f"{given:,.{0 if given >= 10 else 1}f}",
                f"{alone:,}",
            ]
        )
    every = sum(sample_size(part.bits, margin=margin, confidence=confidence) for part in parts)
    rows.append(
        ["all", f"{sum(p.words for p in parts):,}", f"{total:,}", f"{whole:,}", f"{every:,}"]
    )
    return Table(
        ["tensor", "words", "bits", f"of {whole:,} uniform", f"± {100 * margin:g} % each"], rows
    )


def size_table(bits: int, margins: Sequence[float], confidences: Sequence[float]) -> Table:
    """Single faults that it takes to know a proportion to a margin."""
    header = [
        "single faults",
        *(f"{100 * confidence:g} % confidence" for confidence in confidences),
    ]
    rows = [
        [
            f"± {100 * margin:g} %",
            *(f"{sample_size(bits, margin=margin, confidence=c):,}" for c in confidences),
        ]
        for margin in margins
    ]
    return Table(header, rows)


def rate_table(bits: int, rates: Sequence[float]) -> Table:
    """Of each bit error rate the flips a trial, and the share of trials without any."""
    rows = [[f"{p:g}", f"{p * bits:,.4g}", _none(bits, p)] for p in rates]
    return Table(["bit error rate", "flips a trial", "trials without any"], rows)


def warnings(bits: int, rates: Sequence[float]) -> list[str]:
    """One sentence for each rate that hardly hits anything."""
    return [
        f"a rate of {p:g} on {bits:,} bits gives {p * bits:.2g} flips a trial: hardly any trial has a fault, and nearly all"
        " of the time is spent on golden runs; raise it, or take single faults, BitFlip(count=1), and"
        " multiply by the flips a trial"
        for p in rates
        if p * bits < _HARDLY_EVER
    ]


def time_table(tried: Result, sizes: Sequence[int]) -> Table:
    """What the trials would take one after the other, at the pace of those that were tried.

    Args:
        tried: A short run of the campaign.
        sizes: Numbers of trials.
    """
    rows: list[list[str]] = []
    for fault in tried.faults:
        seconds = tried.columns.seconds[tried.rows(fault)]
        if seconds.size:
            mean = float(seconds.mean())
            times = [duration(mean * n) for n in sizes]
            rows.append([str(fault), f"{seconds.size:,}", f"{1000 * mean:.3g} ms", *times])
    return Table(["fault model", "tried", "a trial", *(f"{n:,} trials" for n in sizes)], rows)


def probe(campaign: Campaign, seconds: float) -> Result:
    """A short run of a campaign, with trials of each of its fault models if its sampling allows so few."""
    try:
        few = campaign.with_trials(_FEW).run(progress=False)
    except FaultError:
        return campaign.run(progress=False, seconds=seconds)
    fitting = int(seconds / max(float(few.columns.seconds.mean()), 1e-6)) // len(few.faults)
    if fitting <= _FEW:
        return few
    return campaign.with_trials(fitting).run(progress=False, seconds=seconds)


def _none(bits: int, rate: float) -> str:
    """Share of trials in which no bit is flipped."""
    share = math.exp(bits * math.log1p(-rate)) if rate < 1.0 else 0.0
    return f"{100 * share:.3g} %" if share >= 1e-4 else "< 0.01 %"
