"""Where the faults of a trial meet the code of a forward."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from clipact.faults._replay._structure import NEVER, Structure, Times
from clipact.faults._replay._trace import NOWHERE

__all__ = ["Cause", "Dirt", "find_dirt"]


@final
@dataclass(frozen=True)
class Cause:
    """Where the faults of a trial are.

    Attributes:
        tensors: Places of the target's tensors with faults in them.
        calls: Calls whose output gets faults after their forward: paths, and how many calls of them came before in the
            same forward of the model; None for all.
    """

    tensors: frozenset[int] = frozenset()
    calls: frozenset[tuple[str, int | None]] = frozenset()


@final
@dataclass(frozen=True, eq=False)
class Dirt:
    """Where faults are met.

    Attributes:
        places: Of each call, after how many calls that it makes its own code meets a fault; ``NEVER`` if it does not.
        starts: Times at which faults are met, sorted.
        touched: Of each call, whether a fault is met inside.
        corrupted: Calls whose output gets faults.
        exposed: Storages that a call in which a fault is met returns.
    """

    places: tuple[int, ...]
    starts: Times
    touched: npt.NDArray[np.bool_]
    corrupted: tuple[int, ...]
    exposed: frozenset[int]

    def next_start(self, created: Times) -> Times:
        """The first of the starts after each time; ``NEVER`` if there is none."""
        return np.append(self.starts, NEVER)[np.searchsorted(self.starts, created, side="right")]


def find_dirt(structure: Structure, cause: Cause) -> Dirt:
    """Where these faults are met."""
    corrupted = tuple(_corrupted(structure, cause))
    places = [NEVER] * len(structure.calls)
    starts = {structure.calls[number].exit for number in corrupted}
    for read in structure.trace.reads:
        if read.tensor in cause.tensors:
            places[read.call] = min(places[read.call], read.place)
            starts.add(read.time)
    for number in corrupted:
        call = structure.calls[number]
        if call.parent != NOWHERE:
            places[call.parent] = min(places[call.parent], call.place + 1)
    touched = np.zeros(len(places), dtype=np.bool_)
    for number, place in enumerate(places):
        if place != NEVER:
            touched[structure.above(number)] = True
    exposed = frozenset[int]().union(*(structure.returned[n] for n in np.flatnonzero(touched)))
    return Dirt(
        tuple(places), np.array(sorted(starts), dtype=np.int64), touched, corrupted, exposed
    )


def _corrupted(structure: Structure, cause: Cause) -> Iterator[int]:
    for number, call in enumerate(structure.calls):
        if not cause.calls.isdisjoint({(call.path, None), (call.path, call.ordinal)}):
            yield number
