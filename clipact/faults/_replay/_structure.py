"""What follows from a trace whatever the faults are: which calls may be skipped, and which compared."""

from collections.abc import Sequence
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt
import torch

from clipact.faults._replay._trace import NOWHERE, Call, TensorSpec, Touch, Trace, Use

__all__ = ["NEVER", "Structure", "Times"]

NEVER = int(np.iinfo(np.int64).max)
"""A time after all others."""

Times: TypeAlias = npt.NDArray[np.int64]


@final
class Structure:
    """A trace, looked at from all sides.

    Attributes:
        calls: Of the trace.
        created: Of each storage, when it came to be; ``NOWHERE`` for what was there before.
        creator: Of each storage, the call that made it.
        last_write: Of each storage, when it was changed for the last time; ``NOWHERE`` for never.
        returned: Of each call, the storages that its output lies in.
        outer: Of each call, the storages older than itself that it changed.
        borrowed: Of each call, the storages older than itself that it changed or returned.
        last_decision: When values of tensors became values of Python for the last time.
        skippable: Whether a call may be replaced by its golden output, as far as that depends on the call alone.
        comparable: Whether everything that a call did is seen from its output, as it was when the call ended.
        escaping: Storages that somebody may see after the forward.
        read: Of each call, the targets that its own code reads.
        stateful: Whether anything is left behind that the output does not show.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.calls = trace.calls
        self.created, self.creator = np.array(trace.created), np.array(trace.creator)
        touching = [use for use in trace.uses if use.touch is not Touch.VIEW]
        self.returned = [_storages(call) for call in self.calls]
        self.escaping = self.returned[0] | frozenset(
            storage for storage in trace.alive if self.created[storage] != NOWHERE
        )
        after = self.calls[0].exit + 1
        touching += [Use(after, storage, NOWHERE, Touch.READ) for storage in self.escaping]
        self.use_time, self.use_storage, self.use_call = _columns(touching)
        self.last_write = self._last([use for use in trace.uses if use.touch is Touch.WRITE])
        self._last_use = self._last(trace.uses)
        self.outer = self._outer()
        self.borrowed = [self._borrowed(n) for n in range(len(self.calls))]
        self.last_decision = max(trace.decisions, default=NOWHERE)
        leaking = self._leaking()
        self.skippable = [self._may_skip(n, leaking) for n in range(len(self.calls))]
        self.comparable = [self._may_compare(n, leaking) for n in range(len(self.calls))]
        self.read = [
            frozenset(read.tensor for read in trace.reads if read.call == n)
            for n in range(len(self.calls))
        ]
        self.stateful = not all(call.pure for call in self.calls)

    def above(self, call: int) -> list[int]:
        """The call and those from whose code it was made."""
        found: list[int] = []
        while call != NOWHERE:
            found.append(call)
            call = self.calls[call].parent
        return found

    def _last(self, uses: Sequence[Use]) -> Times:
        last = np.full(len(self.created), NOWHERE, dtype=np.int64)
        time, storage, _ = _columns(uses)
        np.maximum.at(last, storage, time)
        return last

    def _outer(self) -> list[frozenset[int]]:
        found: list[set[int]] = [set() for _ in self.calls]
        for use in self.trace.uses:
            if use.touch is Touch.WRITE:
                for call in self.above(use.call):
                    if self.created[use.storage] < self.calls[call].enter:
                        found[call].add(use.storage)
        return list(map(frozenset, found))

    def _borrowed(self, number: int) -> frozenset[int]:
        enter = self.calls[number].enter
        return frozenset(
            storage
            for storage in self.returned[number] | self.outer[number]
            if self.created[storage] < enter
        )

    def _leaking(self) -> set[int]:
        """Calls of which something is used later that is not in their output."""
        found: set[int] = set()
        for storage, creator in enumerate(self.creator):
            for call in self.above(int(creator)):
                if self.calls[call].exit >= self._last_use[storage]:
                    break
                if storage not in self.returned[call]:
                    found.add(call)
        return found

    def _closed(self, number: int, leaking: set[int]) -> bool:
        """Whether its effects are its output and changes of storages that the forward itself made."""
        call = self.calls[number]
        touched = self.returned[number] | self.outer[number]
        return (
            call.pure
            and call.output is not None
            and number not in leaking
            and not any(self.created[storage] == NOWHERE for storage in touched)
        )

    def _may_skip(self, number: int, leaking: set[int]) -> bool:
        return self._closed(number, leaking) and not self.calls[number].watched

    def _may_compare(self, number: int, leaking: set[int]) -> bool:
        call = self.calls[number]
        if not self._closed(number, leaking) or call.output is None:
            return False
        whole = {spec.storage for spec in call.output.tensors if self._is_whole(spec)}
        return self.outer[number] <= whole and all(
            self.last_write[storage] < call.exit for storage in self.returned[number]
        )

    def _is_whole(self, spec: TensorSpec) -> bool:
        numel = torch.Size(spec.size).numel()
        return numel * spec.dtype.itemsize == self.trace.nbytes[spec.storage]


def _columns(uses: Sequence[Use]) -> tuple[Times, Times, Times]:
    table = np.array([use[:3] for use in uses], dtype=np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def _storages(call: Call) -> frozenset[int]:
    return frozenset(spec.storage for spec in call.output.tensors) if call.output else frozenset()
