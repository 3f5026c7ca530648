"""Run a model with faults, and golden values in the place of what they do not touch."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, final

from torch import nn

from clipact.faults._replay._arguments import Given
from clipact.faults._replay._attributes import Stillness
from clipact.faults._replay._dirty import DirtySamples
from clipact.faults._replay._golden import Golden, Loan, Scratch
from clipact.faults._replay._plan import Plan
from clipact.faults._replay._structure import NEVER
from clipact.faults._replay._surroundings import surroundings
from clipact.faults._replay._trace import NOWHERE

__all__ = ["Replay", "Step"]


class Step(NamedTuple):
    """One forward to come: what it did without faults, and what of that these faults let it skip.

    Attributes:
        golden: The golden run of it.
        plan: None where it must run in full.
    """

    golden: Golden
    plan: Plan | None


class _Now(NamedTuple):
    golden: Golden
    plan: Plan
    loan: Loan
    still: Stillness | None


class _Frame:
    """A call that runs: which, and how many calls it has made."""

    __slots__ = ("made", "number")

    def __init__(self, number: int) -> None:
        self.number, self.made = number, 0


@final
class Replay:
    """One evaluation under faults, in the place of the forwards of modules.

    The state is *clean* until a fault is met, and clean again when a call in which it was met has returned its golden output
    nevertheless. While it is clean, what the plan says to skip is skipped; otherwise everything runs.

    Args:
        steps: The forwards to come.
        modules: Visible modules, by path.
        memory: For values that nobody reads; and golden calls whose samples may be computed by themselves, if any.
        rows: Of tensors with faults in few rows only, which.

    Attributes:
        diverged: What differed from the golden run though no fault explains it; None if nothing.
        valid: Whether the evaluation saw what it would have seen without golden values. If not, it must be repeated in full.
        skipped: Number of calls that were replaced by golden outputs.
        narrowed: Number of calls that computed only the samples that differ from the golden ones.
        masked: Number of calls that met faults and returned their golden outputs all the same.
        spoilt: Whether golden values were overwritten, so that no more trials may be replayed.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        modules: Mapping[str, nn.Module],
        memory: tuple[Scratch, DirtySamples | None],
        rows: Mapping[int, frozenset[int]],
    ) -> None:
        self.diverged: str | None = None
        self.valid = True
        self.spoilt = False
        self.skipped = self.masked = self.narrowed = 0
        self._steps, self._modules = steps, modules
        self._scratch, self._samples = memory
        self._rows = rows
        self._thread = threading.get_ident()
        self._next = 0
        self._faulty = self._dirty = self._stopped = False
        self._frames: list[_Frame] = []
        self._now: _Now | None = None
        self._loans: list[Loan] = []

    @property
    def golden(self) -> bool:
        """Whether all forwards of the golden run were repeated and each had its golden outcome."""
        complete = 0 < self._next == len(self._steps)
        return complete and self.valid and not (self._faulty or self.diverged)

    def __call__(
        self, path: str, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """See :class:`Actor`."""
        if threading.get_ident() != self._thread or (self._now is None and self._stopped):
            return forward(*args, **kwargs)
        if self._dirty or self._stopped:
            return self._freely(path, forward, (args, kwargs))
        if self._now is None:
            return self._whole(path, forward, (args, kwargs))
        return self._child(self._now, path, forward, (args, kwargs))

    def _freely(self, path: str, forward: Callable[..., Any], given: Given) -> Any:
        """A call after a fault was met."""
        try:
            if self._samples is not None and self._now is not None and not self._stopped:
                place = self._next - 1, path
                part = self._samples.redo(place, self._now.plan.tensors, forward, given)
                if part is not None:
                    self.narrowed += 1
                    return part
            return forward(*given[0], **given[1])
        except BaseException:
            if (
                self._now is not None
            ):  # who catches this may go on with values that nobody was to read
                self._break(f"{path or 'the model'} raised")
            raise

    def check(self) -> None:
        """The evaluation has ended: see that golden values are still what they were."""
        if not all(loan.intact() for loan in self._loans):
            self._break("golden values were changed in place")
            self.spoilt = True

    def _whole(self, path: str, forward: Callable[..., Any], given: Given) -> Any:
        """A forward that no other surrounds."""
        step = self._expected(path, given)
        if step is None or step.plan is None:
            self._dirty = True
        else:
            self._faulty |= step.plan.corrupted
            loan = Loan(step.golden, step.plan.copied, self._scratch)
            self._loans.append(loan)
            still = Stillness(self._modules.values()) if step.plan.free else None
            self._now = _Now(step.golden, step.plan, loan, still)
        try:
            if self._now is None:
                return forward(*given[0], **given[1])
            return self._step(self._now, 0, forward, given)
        finally:
            self._faulty |= self._dirty
            self._stopped |= self._dirty and self._lasts(step)
            self._dirty = False
            self._now = None

    def _lasts(self, step: Step | None) -> bool:
        """Whether what faults did in a forward may reach the next one by way of the modules."""
        if step is None or step.golden.structure.stateful:
            return True
        if self._now is None:  # not planned, so nobody looked
            return step.golden.structure.last_decision != NOWHERE
        return self._now.still is not None and self._now.still.broken()

    def _expected(self, path: str, given: Given) -> Step | None:
        """The step to come, if this is it and it may be replayed."""
        number, self._next = self._next, self._next + 1
        step = self._steps[number] if number < len(self._steps) else None
        if step is None or step.golden.path != path:
            self._differ(f"forward {number} is of another module")
            return None
        if step.plan is None:
            return step
        if not step.golden.arguments.again(given):
            if not self._faulty:
                self._differ(f"forward {number} is given other arguments")
            return step._replace(plan=None)
        if surroundings(self._modules.values()) != step.golden.around:
            self._differ(f"forward {number} runs in another mode")
            return step._replace(plan=None)
        return step

    def _child(self, now: _Now, path: str, forward: Callable[..., Any], given: Given) -> Any:
        frame = self._frames[-1]
        place = frame.made
        frame.made += 1
        if place >= now.plan.dirty[frame.number]:
            self._dirty = True
            return forward(*given[0], **given[1])
        calls = now.golden.structure.calls
        children = calls[frame.number].children
        if place >= len(children) or calls[children[place]].path != path:
            self._break(f"{path} was called out of turn")
            return forward(*given[0], **given[1])
        return self._step(now, children[place], forward, given)

    def _step(self, now: _Now, number: int, forward: Callable[..., Any], given: Given) -> Any:
        if now.plan.skip[number]:
            self.skipped += 1
            return now.loan.output(number)
        redone = self._redo(now, number, given)
        if redone is not None:
            return redone
        frame = _Frame(number)
        self._frames.append(frame)
        try:
            value = forward(*given[0], **given[1])
        except BaseException:
            # it may have left anything half done, and whoever catches this goes on with values that nobody was to read
            self._break(f"{now.golden.structure.calls[number].path or 'the model'} raised")
            raise
        finally:
            self._frames.pop()
        self._leave(now, frame, value)
        return value

    def _redo(self, now: _Now, number: int, given: Given) -> Any:
        """What a layer with faults in few rows returns, without computing the others; None if that cannot be."""
        kernel = now.golden.kernels.get(number)
        hit = now.golden.structure.read[number] & now.plan.tensors
        if kernel is None or not hit or not hit <= kernel.tensors & self._rows.keys():
            return None
        golden = now.loan.output(number)
        value = kernel.redo(given, golden, frozenset().union(*(self._rows[t] for t in hit)))
        if value is golden:
            self.masked += 1
        elif value is not None:
            self._dirty = True
        return value

    def _leave(self, now: _Now, frame: _Frame, value: Any) -> None:
        structure, number = now.golden.structure, frame.number
        if not self._dirty and now.plan.dirty[number] == NEVER:
            if frame.made != len(structure.calls[number].children):
                self._break(f"{structure.calls[number].path or 'the model'} returned early")
            return
        self._dirty = (
            self._stopped
            or not structure.comparable[number]
            or not now.golden.equals(number, value)
            or (now.still is not None and now.still.broken())
        )
        self.masked += not self._dirty

    def _differ(self, what: str) -> None:
        self.diverged = self.diverged or what

    def _break(self, what: str) -> None:
        """The code took another course, after golden values were handed out."""
        self._differ(what)
        self.valid, self._dirty, self._stopped = False, True, True
