"""How many trials to run, how long they take, and which bit error rates hit anything."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from clipact._progress import duration
from clipact._text import aligned
from clipact.errors import FaultError
from clipact.faults._numbers._statistics import sample_size
from clipact.faults._streams import is_integer

RATES: Final = (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
"""Bit error rates of the table."""

_HARDLY_EVER = 0.01  # flips a trial
_TINY = 1e-4


@final
@dataclass(frozen=True)
class PlannedTrials:
    """How many single faults tell a proportion to a margin.

    Attributes:
        margin: Half the width of the interval.
        confidence: Of the interval.
        trials: How many faults, one a trial.
        seconds: How long they take; NaN if nothing is known of that.
    """

    margin: float
    confidence: float
    trials: int
    seconds: float


@final
@dataclass(frozen=True)
class PlannedRate:
    """What a bit error rate does to a target.

    Attributes:
        rate: Probability of a flip, for each bit.
        flips: Expected in a trial.
        untouched: Share of the trials without any flip.
    """

    rate: float
    flips: float
    untouched: float

    @property
    def hardly_hits(self) -> bool:
        """Whether fewer than one trial in a hundred has a flip, so that nearly all of the time goes into golden runs."""
        return self.flips < _HARDLY_EVER


@final
@dataclass(frozen=True)
class Plan:
    """Numbers of trials and bit error rates for one target; print it, or read its rows.

    Attributes:
        population: Bits of the target.
        trials: By margin, then by confidence.
        rates: Rising.
    """

    population: int
    trials: tuple[PlannedTrials, ...]
    rates: tuple[PlannedRate, ...]

    def __str__(self) -> str:
        timed = not all(math.isnan(row.seconds) for row in self.trials)
        header = ["margin", "confidence", "trials", *(["time"] if timed else [])]
        rows = [
            [
                f"± {100 * row.margin:g} %",
                f"{100 * row.confidence:g} %",
                f"{row.trials:,}",
                *([duration(row.seconds)] if timed else []),
            ]
            for row in self.trials
        ]
        rates = [
            [
                f"{row.rate:g}",
                f"{row.flips:,.0f}" if row.flips >= 100 else f"{row.flips:.3g}",
                f"{100 * row.untouched:.3g} %" if row.untouched >= _TINY else "< 0.01 %",
                "hardly hits" if row.hardly_hits else "",
            ]
            for row in self.rates
        ]
        head = f"{self.population:,} bits. Trials with one fault each, drawn uniformly:"
        flips = aligned(["bit error rate", "flips a trial", "trials without", ""], rates)
        return "\n\n".join([f"{head}\n{aligned(header, rows)}", flips])


def plan(
    population: int,
    *,
    margins: Sequence[float] = (0.05, 0.02, 0.01, 0.005),
    confidences: Sequence[float] = (0.9, 0.95, 0.99),
    p: float = 0.5,
    seconds_per_trial: float | None = None,
    workers: int = 1,
) -> Plan:
    """How many trials to run for some precisions, how long they take, and which bit error rates hit anything.

    The numbers are those of uniform sampling, :func:`sample_size`; :class:`Stratified` needs fewer.

    Args:
        population: Bits of the target, as :func:`population` counts them.
        margins: Half widths of the interval to have.
        confidences: Of the interval.
        p: The proportion to expect; 0.5 is the worst case.
        seconds_per_trial: How long a trial takes, where time is to be told.
        workers: How many run at once.

    Raises:
        FaultError: An argument is out of range.

    Examples:
        >>> found = plan(10**6, margins=[0.01], seconds_per_trial=0.5, workers=4)
        >>> [(row.confidence, row.trials, row.seconds) for row in found.trials]
        [(0.9, 6719, 840.0), (0.95, 9513, 1189.5), (0.99, 16317, 2040.0)]
        >>> [row.rate for row in found.rates if row.hardly_hits]
        [1e-09]
    """
    if seconds_per_trial is not None and not 0.0 < seconds_per_trial < math.inf:
        raise FaultError(f"seconds_per_trial={seconds_per_trial}: give a time above 0, or None")
    if not is_integer(workers) or workers < 1:
        raise FaultError(f"workers={workers!r}: give an integer from 1")
    pace = math.nan if seconds_per_trial is None else seconds_per_trial
    trials = [
        (margin, confidence, sample_size(population, margin=margin, confidence=confidence, p=p))
        for margin in margins
        for confidence in confidences
    ]
    return Plan(
        population,
        tuple(PlannedTrials(m, c, n, math.ceil(n / workers) * pace) for m, c, n in trials),
        tuple(PlannedRate(r, r * population, _untouched(r, population)) for r in RATES),
    )


def _untouched(rate: float, population: int) -> float:
    return math.exp(population * math.log1p(-rate))
