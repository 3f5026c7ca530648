"""One forward under faults: what it skips, what runs, and whether what it has seen so far is golden."""

from collections.abc import Callable, Mapping
from typing import Any, final

from clipact.faults._replay._arguments import Given
from clipact.faults._replay._attributes import Stillness
from clipact.faults._replay._golden import Golden, Loan
from clipact.faults._replay._narrow import Narrowing, Samples
from clipact.faults._replay._plan import Plan
from clipact.faults._replay._structure import NEVER

__all__ = ["Pass"]


class _Frame:
    """A call that runs: which, and how many calls it has made."""

    __slots__ = ("made", "number")

    def __init__(self, number: int) -> None:
        self.number, self.made = number, 0


@final
class Pass:
    """Calls of one forward, in the place of those of the golden run.

    The state is *clean* until a fault is met, and clean again when a call in which it was met has returned its golden output
    nevertheless. While it is clean, what the plan says to skip is skipped; otherwise everything runs.

    Args:
        golden: The golden run of it.
        plan: What may be skipped.
        loan: What is handed out.
        rows: Of tensors with faults in few rows only, which.
        still: Watches modules where faults may change the course of the code.
        samples: Finds those that differ, if it is to begin anew with them.

    Attributes:
        dirty: Whether a fault was met and not masked.
        raised: Whether a call ended with an exception, so that anything may be left half done.
        broken: What was not as in the golden run while the state was clean; None if nothing.
        skipped: Number of calls that were replaced.
        masked: Number of calls that met faults and returned their golden outputs all the same.
    """

    def __init__(
        self,
        golden: Golden,
        plan: Plan,
        loan: Loan,
        rows: Mapping[int, frozenset[int]],
        still: Stillness | None,
        samples: Samples | None,
    ) -> None:
        self.dirty = self.raised = False
        self.broken: str | None = None
        self.skipped = self.masked = 0
        self._golden, self._plan, self._loan = golden, plan, loan
        self._rows, self._still, self._samples = rows, still, samples
        self._frames: list[_Frame] = []

    @property
    def loan(self) -> Loan:
        """What was handed out."""
        return self._loan

    def call(self, path: str, forward: Callable[..., Any], given: Given) -> Any:
        """The next call: the forward itself first, then what its code calls while the state is clean."""
        if not self._frames:
            return self._step(0, forward, given)
        frame = self._frames[-1]
        place = frame.made
        frame.made += 1
        if place >= self._plan.dirty[frame.number]:
            self.dirty = True
            return forward(*given[0], **given[1])
        calls = self._golden.structure.calls
        children = calls[frame.number].children
        if place >= len(children) or calls[children[place]].path != path:
            self._break(f"{path} was called out of turn")
            return forward(*given[0], **given[1])
        return self._step(children[place], forward, given)

    def _step(self, number: int, forward: Callable[..., Any], given: Given) -> Any:
        if self._plan.skip[number]:
            self.skipped += 1
            return self._loan.output(number)
        narrow = self._samples.narrow if self._samples else None
        if narrow is not None and number == narrow.number:
            self.dirty = True
            return narrow.value
        redone = self._redo(number, given)
        if redone is not None:
            return redone
        frame = _Frame(number)
        self._frames.append(frame)
        try:
            value = forward(*given[0], **given[1])
        except Narrowing:
            raise
        except BaseException:
            self.dirty = self.raised = True
            raise
        finally:
            self._frames.pop()
        self._leave(frame, value)
        return value

    def _redo(self, number: int, given: Given) -> Any:
        """What a layer with faults in few rows returns, without computing the others; None if that cannot be."""
        kernel = self._golden.kernels.get(number)
        hit = self._golden.structure.read[number] & self._plan.tensors
        alone = self._samples is not None and self._samples.narrow is not None
        if kernel is None or alone or not hit or not hit <= kernel.tensors & self._rows.keys():
            return None
        golden = self._loan.output(number)
        value = kernel.redo(given, golden, frozenset().union(*(self._rows[t] for t in hit)))
        if value is golden:
            self.masked += 1
        elif value is not None:
            self.dirty = not self._is_golden(number, value)
        return value

    def _leave(self, frame: _Frame, value: Any) -> None:
        structure, number = self._golden.structure, frame.number
        if not self.dirty and self._plan.dirty[number] == NEVER:
            if frame.made != len(structure.calls[number].children):
                self._break(f"{structure.calls[number].path or 'the model'} returned early")
            return
        self.dirty = (
            self.raised
            or self.broken is not None
            or not structure.comparable[number]
            or not self._is_golden(number, value)
            or (self._still is not None and self._still.broken())
        )
        self.masked += not self.dirty

    def _is_golden(self, number: int, value: Any) -> bool:
        """Whether a call has returned its golden output.

        Raises:
            Narrowing: It has for many samples, and the forward is to begin anew with the others.
        """
        samples = self._samples
        if (samples is None or samples.narrow is None) and self._golden.equals(number, value):
            return True
        different = None if samples is None else samples.differing(number, value)
        if samples is None or different is None:
            return False
        if narrow := samples.fewer(number, value, different):
            raise Narrowing(narrow)
        return not different.any()

    def _break(self, what: str) -> None:
        self.broken, self.dirty = what, True
