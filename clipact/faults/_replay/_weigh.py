"""What the forwards of a golden run have in common, what they cost, and what can be saved of that."""

from collections.abc import Mapping, Sequence

from clipact.faults._replay._choose import Load, cost, first_hits
from clipact.faults._replay._dirt import Cause
from clipact.faults._replay._observer import Observed
from clipact.faults._replay._plan import make_plan
from clipact.faults._replay._structure import Structure

__all__ = ["loads_of", "saving"]


def loads_of(
    forwards: Sequence[Observed], weights: Mapping[Cause, float], hits: float
) -> list[Load]:
    """Of each forward its load; one object for all that did the same.

    Args:
        forwards: As they were seen.
        weights: How often each cause occurs, relative to the others.
        hits: Faults of a trial, on average.
    """
    alike: list[list[Observed]] = []
    places: list[int] = []
    for seen in forwards:
        place = next((n for n, group in enumerate(alike) if group[0].trace == seen.trace), None)
        if place is None:
            place = len(alike)
            alike.append([])
        alike[place].append(seen)
        places.append(place)
    loads = [_load(group, weights, hits) for group in alike]
    return [loads[place] for place in places]


def _load(forwards: Sequence[Observed], weights: Mapping[Cause, float], hits: float) -> Load:
    structure = Structure(forwards[0].trace)
    times = zip(*(seen.seconds for seen in forwards), strict=True)
    mean = [sum(each) / len(each) for each in times]
    own = [
        max(mean[number] - sum(mean[child] for child in call.children), 0.0)
        for number, call in enumerate(structure.calls)
    ]
    return Load(structure, own, first_hits(structure, weights, hits))


def saving(loads: Sequence[Load], kept: Sequence[frozenset[int]] | None) -> float:
    """Share of the time of a trial that golden values are expected to save.

    Args:
        loads: Of the forwards.
        kept: Of each forward, the storages whose values are at hand; None for all.
    """
    total = spent = 0.0
    known: dict[tuple[int, frozenset[int] | None], float] = {}
    for place, load in enumerate(loads):
        key = id(load), kept[place] if kept else None
        if key not in known:
            known[key] = sum(
                weight * cost(load, make_plan(load.structure, cause, key[1]))
                for cause, weight in load.causes.items()
            )
        spent += known[key]
        total += sum(load.seconds)
    return 1.0 - spent / total if total else 0.0
