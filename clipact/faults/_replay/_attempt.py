"""One forward of an evaluation under faults, from its arguments to what it returns."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, final

from clipact.faults._replay._arguments import Given
from clipact.faults._replay._attributes import Stillness
from clipact.faults._replay._golden import Golden, Loan, Scratch
from clipact.faults._replay._narrow import Narrow, Narrowing, Samples
from clipact.faults._replay._pass import Pass
from clipact.faults._replay._plan import Plan
from clipact.faults._replay._trust import Trust
from clipact.faults._replay._values import alike

__all__ = ["Attempt", "Tools"]


class Tools(NamedTuple):
    """What all forwards of an evaluation share.

    Attributes:
        scratch: For values that nobody reads.
        rows: Of tensors with faults in few rows only, which.
        trust: Whether samples may go on by themselves.
    """

    scratch: Scratch
    rows: Mapping[int, frozenset[int]]
    trust: Trust


@final
class Attempt:
    """A forward with golden values in the place of what its faults do not reach.

    Args:
        golden: The golden run of it.
        plan: What may be skipped.
        seconds: Of each call, without those that it made.
        still: Watches modules where faults may change the course of the code.
        tools: Shared with other forwards.

    Attributes:
        dirty: Whether the outcome is not golden, or not known to be.
        broken: What was not as in the golden run though no fault explains it; None if nothing.
        passes: Every time that it was begun.
        narrowed: Whether what was returned is of fewer samples that went on by themselves, and of golden ones.
    """

    def __init__(
        self,
        golden: Golden,
        plan: Plan,
        seconds: tuple[float, ...],
        still: Stillness | None,
        tools: Tools,
    ) -> None:
        self.dirty = True
        self.broken: str | None = None
        self.passes: list[Pass] = []
        self.narrowed = False
        self._golden, self._plan, self._seconds = golden, plan, seconds
        self._still, self._tools = still, tools
        self._now: Pass | None = None

    def call(self, path: str, forward: Callable[..., Any], given: Given) -> Any:
        """A call inside."""
        if self._now is None or self._now.dirty:
            return forward(*given[0], **given[1])
        return self._now.call(path, forward, given)

    def run(self, path: str, forward: Callable[..., Any], given: Given) -> Any:
        """The forward itself."""
        try:
            return self._begin(None, path, forward, given)
        except Narrowing as found:
            narrow = found.narrow
        whole = self._narrowed(narrow, path, forward, given)
        if whole is not None and self._tools.trust.earned:
            return whole
        self.dirty, self.narrowed, self._now = True, False, None
        full = forward(*given[0], **given[1])
        if whole is None or not alike(whole, full):
            self._tools.trust.lose(path)
        else:
            self._tools.trust.gain()
        return full

    def _begin(
        self, narrow: Narrow | None, path: str, forward: Callable[..., Any], given: Given
    ) -> Any:
        golden, tools = self._golden, self._tools
        samples = None
        if golden.batch is not None and tools.trust.problem is None:
            samples = Samples(golden, self._seconds, narrow)
            given = given if narrow is None else golden.batch.arguments(given, narrow.rows)
        loan = Loan(golden, self._plan.copied, tools.scratch, narrow.rows if narrow else None)
        self._now = Pass(golden, self._plan, loan, tools.rows, self._still, samples)
        self.passes.append(self._now)
        try:
            value = self._now.call(path, forward, given)
        finally:
            self.dirty, self.broken = self._now.dirty, self._now.broken
        return value if narrow is None or samples is None else samples.widened(value)

    def _narrowed(
        self, narrow: Narrow, path: str, forward: Callable[..., Any], given: Given
    ) -> Any:
        """The forward of some samples, put into the golden output of the others; None where that cannot be."""
        while True:
            try:
                whole = self._begin(narrow, path, forward, given)
            except Narrowing as found:
                narrow = found.narrow
            except Exception:
                return None  # the model may not work with fewer samples: in full it shows
            else:
                self.narrowed = True
                return None if self.broken else whole
