"""Which golden values to keep under a budget, and what they are expected to save."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, final

import numpy as np

from clipact.faults._replay._dirt import Cause, find_dirt
from clipact.faults._replay._plan import Plan, make_plan
from clipact.faults._replay._structure import NEVER, Structure
from clipact.faults._replay._trace import NOWHERE

__all__ = ["Load", "choose", "cost", "first_hits"]

_MASKED: Final = 0.1
"""Share of faults that are taken to be masked where they are met, for the worth of comparing."""
_KNOWING: Final = 1e-9
"""Seconds that it is worth to know that a forward had its golden outcome, so that this is kept last."""


@final
@dataclass(frozen=True, eq=False)
class Load:
    """A forward, what it costs, and what is likely to hit it.

    Attributes:
        structure: The forward.
        seconds: Of each call, without those that it made.
        causes: The faults that are met first, with their probability.
    """

    structure: Structure
    seconds: Sequence[float]
    causes: Mapping[Cause, float]


def first_hits(
    structure: Structure, weights: Mapping[Cause, float], hits: float
) -> dict[Cause, float]:
    """How probable it is that each of several possible faults is the first to be met.

    Args:
        structure: The forward.
        weights: How often a fault is there, relative to the others.
        hits: Faults of a trial, on average.
    """
    total = sum(weights.values())
    starts = {cause: _start(structure, cause) for cause in weights}
    found: dict[Cause, float] = {}
    clear = 1.0
    for cause in sorted(weights, key=starts.__getitem__):
        later = max(clear - weights[cause] / total, 0.0)
        found[cause] = clear**hits - later**hits
        clear = later
    return found


def _start(structure: Structure, cause: Cause) -> int:
    starts = find_dirt(structure, cause).starts
    return int(starts[0]) if starts.size else NEVER


def cost(load: Load, plan: Plan) -> float:
    """Seconds that a forward takes by a plan, if no fault is masked."""
    total = 0.0
    hidden: list[bool] = []
    for number, call in enumerate(load.structure.calls):
        hidden.append(plan.skip[number] or (call.parent != NOWHERE and hidden[call.parent]))
        if call.enter > plan.start or not hidden[number]:
            total += load.seconds[number]
    return total


def choose(loads: Sequence[Load], budget: int) -> list[frozenset[int]]:
    """Of each forward, the storages to keep: those that save the most seconds per byte, as long as there is room."""
    known: dict[int, dict[int, float]] = {}
    rated: list[tuple[float, int, int]] = []
    for place, load in enumerate(loads):
        gains = known.get(id(load))
        if gains is None:
            gains = known[id(load)] = _gains(load)
        sizes = load.structure.trace.nbytes
        rated += [(gain / max(sizes[s], 1), place, s) for s, gain in gains.items()]
    kept: list[set[int]] = [set() for _ in loads]
    for _, place, storage in sorted(rated, reverse=True):
        size = loads[place].structure.trace.nbytes[storage]
        if size <= budget:
            kept[place].add(storage)
            budget -= size
    return list(map(frozenset, kept))


def _gains(load: Load) -> dict[int, float]:
    """Of each storage worth keeping, seconds that it may save a trial."""
    structure = load.structure
    before = list(accumulate(load.seconds))
    found = np.zeros(len(structure.created))
    for cause, weight in load.causes.items():
        plan = make_plan(structure, cause)
        for storage in plan.needed:
            found[storage] += weight * before[structure.creator[storage]]
        for number in np.flatnonzero(find_dirt(structure, cause).touched).tolist():
            if structure.comparable[number]:
                rest = before[-1] - before[_last_inside(structure, number)]
                rows = load.seconds[number] if structure.read[number] else 0.0
                for storage in structure.returned[number]:
                    found[storage] += weight * (_MASKED * rest + rows + _KNOWING)
    return {storage: float(found[storage]) for storage in np.flatnonzero(found).tolist()}


def _last_inside(structure: Structure, number: int) -> int:
    """The last call that was made from a call's code, directly or not; itself if there was none."""
    while children := structure.calls[number].children:
        number = children[-1]
    return number
