"""Trials of two campaigns that met the same faults."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from clipact.errors import CampaignError
from clipact.faults._models import FaultModel
from clipact.faults._results._kept import Integers, Numbers
from clipact.faults._results._result import Result


@final
@dataclass(frozen=True, eq=False)
class Pairs:
    """The trials of a fault model that two campaigns both have, by number.

    Attributes:
        baseline: One campaign.
        other: The other.
        trials: Numbers of the trials that both evaluated, shape ``(pairs,)``.
        rows: Of each, the row in either result.
        failed: How many more both have, but an evaluation raised.
        alone: How many only one of them has.
    """

    baseline: Result
    other: Result
    trials: Integers
    rows: tuple[Integers, Integers]
    failed: int
    alone: int

    def values(self, metric: str) -> tuple[Numbers, Numbers]:
        """A metric in either campaign, pair by pair.

        Raises:
            CampaignError: There is no such metric.
        """
        base, own = self.rows
        return self.baseline.values(metric)[base], self.other.values(metric)[own]

    def strangers(self) -> Iterator[tuple[int, int]]:
        """Rows of pairs that met other faults."""
        base, own = self.rows
        a, b = self.baseline.columns.digest[base], self.other.columns.digest[own]
        for at in np.flatnonzero(a != b).tolist():
            yield int(base[at]), int(own[at])


def pair(baseline: Result, other: Result, fault: FaultModel) -> Pairs:
    """The pairs of a fault model.

    Raises:
        CampaignError: Either has no such fault model.
    """
    starts = baseline.rows(fault), other.rows(fault)
    one, two = baseline.columns.trial[starts[0]], other.columns.trial[starts[1]]
    trials, base, own = np.intersect1d(one, two, assume_unique=True, return_indices=True)
    base, own = base + starts[0].start, own + starts[1].start
    good = ~(baseline.columns.failed[base] | other.columns.failed[own])
    failed = int(np.count_nonzero(~good))
    alone = one.size + two.size - 2 * trials.size
    return Pairs(baseline, other, trials[good], (base[good], own[good]), failed, alone)


def check_paired(
    baseline: tuple[str, Result], other: tuple[str, Result], *, same_faults: bool
) -> None:
    """Refuse campaigns whose trials are no pairs.

    Args:
        baseline: Name and result of the one.
        other: Of the other.
        same_faults: Whether the two of a pair must have met the same faults.

    Raises:
        CampaignError: They are not; the message says in what they differ.
    """
    (name, reference), (second, result) = baseline, other
    if not same_faults and (reference.estimators or result.estimators):
        raise CampaignError(
            f"{name} and {second} are sampled {reference.sampling} and {result.sampling}; same_faults=False needs trials"
            " that all count alike: sample uniformly, or compare campaigns with the same faults"
        )
    for what, a, b in (
        ("seed", reference.seed, result.seed),
        ("number of trials", reference.trials_per_fault, result.trials_per_fault),
        ("fault models", list(reference.faults), list(result.faults)),
        ("number format", reference.format, result.format),
        ("data", reference.data, result.data),
        ("sampling", reference.sampling, result.sampling),
        ("lifetime of faults", reference.lifetime, result.lifetime),
        *(_faults_met(reference, result) if same_faults else ()),
    ):
        if a != b:
            raise CampaignError(
                f"{name} and {second} are not paired and differ in their {what}: {a} and {b}; run both campaigns with the"
                " same seed, trials, fault, target, format and data" + _how_to_go_on(what)
            )


def _how_to_go_on(what: str) -> str:
    faults = what in {"target", "number of bits of the target"} or what.startswith("faults")
    return ", or pair trials by number with compare(..., same_faults=False)" if faults else ""


def _faults_met(a: Result, b: Result) -> Iterator[tuple[str, object, object]]:
    """What to compare of the faults themselves: targets in words may differ where the faults are the same."""
    if a.faults != b.faults:
        return
    found = next((rows for fault in a.faults for rows in pair(a, b, fault).strangers()), None)
    if found is None and a.population == b.population:
        return
    yield "target", a.target, b.target
    yield "number of bits of the target", a.population, b.population
    if found is not None:
        one, two = a.trials[found[0]], b.trials[found[1]]
        where = f"faults in trial {one.trial} of {one.fault}"
        yield where, f"{one.flips} flips {one.digest}", f"{two.flips} flips {two.digest}"
