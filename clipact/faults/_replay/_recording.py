"""The golden run of an evaluation, recorded so that trials need to run only what their faults reach."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Final, final

from torch import nn

from clipact.faults._replay._choose import Load, cost
from clipact.faults._replay._dirt import Cause
from clipact.faults._replay._dirty import DirtySamples, find_dirty_samples
from clipact.faults._replay._golden import Golden, Scratch
from clipact.faults._replay._plan import Plan, make_plan
from clipact.faults._replay._replay import Replay, Step
from clipact.faults._replay._standins import standing_in

__all__ = ["Recording"]

_FEW: Final = 8
"""Tensors with faults up to which a masked fault is worth looking for."""

_LEAST: Final = 0.01
"""Share of time below which golden values save nothing."""


@final
class Recording:
    """What a golden run did, for :meth:`replaying` it around faults.

    Attributes:
        reason: Why nothing is replayed; None if it is.
        saving: Share of the time of a trial that is expected to be saved, without masked faults.
        nbytes: Memory that golden values take.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        goldens: Sequence[Golden],
        loads: Sequence[Load],
        saving: float,
        reason: str | None = None,
    ) -> None:
        self.reason, self.saving = reason, saving
        self.nbytes = sum(golden.nbytes for golden in goldens)
        self._modules, self._goldens, self._loads = modules, goldens, loads
        self._scratch = Scratch()
        self._samples: DirtySamples | None = None
        kinds = {(id(g.structure), g.kept): place for place, g in enumerate(goldens)}
        self._kinds = [kinds[id(g.structure), g.kept] for g in goldens]
        self._plans = lru_cache(maxsize=1024)(self._plan)

    def narrow(self, run: Callable[[], object], *, budget: int = 2**30) -> None:
        """From now on, compute only the samples that differ from the golden ones, where that gives the same bits here.

        Args:
            run: As for :func:`record`; it is called once more.
            budget: Bytes for all golden values together.
        """
        if self.reason is None:
            room = max(0, budget - self.nbytes)
            self._samples = find_dirty_samples(self._goldens, self._modules, run, room)
            self.nbytes += self._samples.nbytes

    @contextmanager
    def replaying(
        self,
        tensors: Iterable[int] = (),
        calls: Iterable[tuple[str, int | None]] = (),
        *,
        rows: Mapping[int, Iterable[int]] | None = None,
    ) -> Generator[Replay]:
        """Inside, an evaluation of the model skips what faults do not reach, and has the same outputs to the last bit.

        Args:
            tensors: Places, among those recorded, of all tensors with faults in them.
            calls: Calls whose output is corrupted by a forward hook: path of the module, and the number of calls of it
                before in the same forward of the model, or None for all its calls.
            rows: Of some of these tensors, the indices along the first dimension that have all their faults: a layer then
                computes no others again, where that was found to give the same bits.

        Yields:
            What happens, and whether it may be relied on.
        """
        cause = Cause(frozenset(tensors), frozenset(calls))
        steps = self._steps(cause)
        visited = {path for step in steps if step.plan for path in step.plan.visited}
        few = {tensor: frozenset(places) for tensor, places in (rows or {}).items()}
        samples = None if cause.calls else self._samples
        replay = Replay(steps, self._modules, (self._scratch, samples), few)
        try:
            with standing_in([(p, self._modules[p]) for p in sorted(visited)], replay):
                yield replay
        finally:
            replay.check()
            if replay.spoilt:
                self.reason = "the model changes golden values in place under faults"

    def _steps(self, cause: Cause) -> list[Step]:
        """What to do at each forward; nothing if it would not pay."""
        if self.reason:
            return []
        planned = [self._plans(kind, cause) for kind in self._kinds]
        few = len(cause.tensors) + len(cause.calls) <= _FEW
        if not any(plan and (few or saving > _LEAST) for plan, saving in planned):
            return []
        return [Step(g, plan) for g, (plan, _) in zip(self._goldens, planned, strict=True)]

    def _plan(self, kind: int, cause: Cause) -> tuple[Plan | None, float]:
        """What to do at forwards of one kind, and the share of time that it saves."""
        golden, load = self._goldens[kind], self._loads[kind]
        calls = golden.structure.calls
        called = {(call.path, place) for call in calls for place in (call.ordinal, None)}
        if not cause.calls <= called or not golden.arguments.comparable:
            return None, 0.0
        plan = make_plan(golden.structure, cause, golden.kept)
        return plan, 1.0 - cost(load, plan) / max(sum(load.seconds), 1e-9)
