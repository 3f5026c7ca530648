"""What one set of faults lets a forward skip."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

from clipact.faults._replay._dirt import Cause, Dirt, find_dirt
from clipact.faults._replay._structure import NEVER, Structure, Times
from clipact.faults._replay._trace import NOWHERE

__all__ = ["Plan", "make_plan"]

Flags: TypeAlias = npt.NDArray[np.bool_]


@final
@dataclass(frozen=True, eq=False)
class Plan:
    """What to do at each call as long as everything before it was golden.

    Attributes:
        tensors: Targets with faults in them.
        skip: Whether it returns its golden output at once.
        dirty: Of each call, the number of calls that it makes before its own code meets a fault.
        needed: Golden storages whose values are read.
        copied: Golden storages that are handed out as copies.
        start: Time of the first fault.
        corrupted: Whether faults are put into what the whole forward returns.
        visited: Paths of modules that are called by code that runs, or from outside.
        free: Whether faults may change the course of the code, so that it does what it did not do in the golden run.
    """

    tensors: frozenset[int]
    skip: tuple[bool, ...]
    dirty: tuple[int, ...]
    needed: frozenset[int]
    copied: frozenset[int]
    start: int
    corrupted: bool
    visited: frozenset[str]
    free: bool


def make_plan(structure: Structure, cause: Cause, kept: AbstractSet[int] | None = None) -> Plan:
    """Skip as much as the faults allow.

    Golden values are handed out as they are at the end of the forward. So a call is run after all where what it hands
    out is read before it has been changed for the last time, or changed by code that runs, or is not kept.

    Args:
        structure: The forward.
        cause: The faults.
        kept: Storages whose golden content is at hand; None for all.
    """
    dirt = find_dirt(structure, cause)
    skip = np.array(structure.skippable) & ~dirt.touched
    while True:
        hidden = _hidden(structure, skip)
        first_use = _first_use(structure, dirt, skip, hidden)
        run = _changed_outside(structure, dirt, skip, hidden)
        run |= _unavailable(structure, hidden, first_use, kept)
        run |= _corrupted_alias(structure, dirt, skip, hidden)
        if not run:
            break
        skip[list(run)] = False
    golden = hidden[structure.creator] & (structure.created != NOWHERE)
    start = int(dirt.starts[0]) if dirt.starts.size else NEVER
    return Plan(
        tensors=cause.tensors,
        skip=tuple(skip.tolist()),
        dirty=dirt.places,
        needed=frozenset(np.flatnonzero(golden & (first_use < NEVER)).tolist()),
        copied=structure.escaping.union(*(structure.returned[c] for c in dirt.corrupted)),
        start=start,
        corrupted=0 in dirt.corrupted,
        visited=frozenset(call.path for call in structure.calls if not hidden[call.parent]),
        free=start <= structure.last_decision,
    )


def _hidden(structure: Structure, skip: Flags) -> Flags:
    """Of each call, whether its code does not run; at the end, for what is no call, that it does."""
    hidden = np.append(skip, np.False_)
    for number, call in enumerate(structure.calls):
        hidden[number] |= hidden[call.parent]
    return hidden


def _first_use(structure: Structure, dirt: Dirt, skip: Flags, hidden: Flags) -> Times:
    """Of each storage, when code that may run needs it for the first time."""
    begin = dirt.next_start(structure.created)
    times, storages = structure.use_time, structure.use_storage
    real = ~hidden[structure.use_call] | (times >= begin[storages])
    first = np.full(len(begin), NEVER, dtype=np.int64)
    np.minimum.at(first, storages[real], times[real])
    for number in dirt.corrupted:
        for storage in structure.returned[number]:
            first[storage] = min(first[storage], structure.calls[number].exit)
    # after faulty values became values of Python, the code may read anything that it was handed before
    handed = {
        storage
        for number in np.flatnonzero(skip)
        if not hidden[structure.calls[number].parent]
        for storage in structure.returned[number]
    }
    for storage in handed:
        if begin[storage] <= structure.last_decision:
            first[storage] = min(first[storage], begin[storage])
    return first


def _changed_outside(structure: Structure, dirt: Dirt, skip: Flags, hidden: Flags) -> set[int]:
    """Calls that return or change, as older than themselves, memory that is not golden."""
    real = ~hidden[structure.creator]
    real[list(dirt.exposed)] = True
    return {
        number
        for number in np.flatnonzero(skip).tolist()
        if not hidden[structure.calls[number].parent]
        and any(real[storage] for storage in structure.borrowed[number])
    }


def _unavailable(
    structure: Structure, hidden: Flags, first_use: Times, kept: AbstractSet[int] | None
) -> set[int]:
    """Calls that hand out what is needed and not to be had."""
    golden = hidden[structure.creator] & (structure.created != NOWHERE)
    bad = golden & (first_use < NEVER) & (first_use <= structure.last_write)
    if kept is not None:
        missing = np.ones(len(bad), dtype=np.bool_)
        missing[list(kept)] = False
        bad |= golden & (first_use < NEVER) & missing
    return {_outermost(structure, hidden, int(structure.creator[n])) for n in np.flatnonzero(bad)}


def _corrupted_alias(structure: Structure, dirt: Dirt, skip: Flags, hidden: Flags) -> set[int]:
    """Calls whose memory faults would be written to, by way of a call that runs and returns it."""
    return {
        _outermost(structure, hidden, int(structure.creator[storage]))
        for number in dirt.corrupted
        if not skip[number]
        for storage in structure.returned[number]
        if structure.created[storage] != NOWHERE and hidden[structure.creator[storage]]
    }


def _outermost(structure: Structure, hidden: Flags, call: int) -> int:
    while hidden[structure.calls[call].parent]:
        call = structure.calls[call].parent
    return call
