"""Run a model with faults, and golden values in the place of what they do not touch."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, final

from torch import nn

from clipact.faults._replay._arguments import Given
from clipact.faults._replay._attempt import Attempt, Tools
from clipact.faults._replay._attributes import Stillness
from clipact.faults._replay._golden import Golden
from clipact.faults._replay._pass import Pass
from clipact.faults._replay._plan import Plan
from clipact.faults._replay._surroundings import surroundings
from clipact.faults._replay._trace import NOWHERE

__all__ = ["Replay", "Step"]


class Step(NamedTuple):
    """One forward to come: what it did without faults, and what of that these faults let it skip.

    Attributes:
        golden: The golden run of it.
        plan: None where it must run in full.
        seconds: Of each of its calls, without those that it made.
    """

    golden: Golden
    plan: Plan | None
    seconds: tuple[float, ...]


@final
class Replay:
    """One evaluation under faults, in the place of the forwards of modules.

    Args:
        steps: The forwards to come.
        modules: Visible modules, by path.
        tools: What the forwards share.

    Attributes:
        diverged: What differed from the golden run though no fault explains it; None if nothing.
        valid: Whether the evaluation saw what it would have seen without golden values. If not, it must be repeated in full.
        spoilt: Whether golden values were overwritten, so that no more trials may be replayed.
        narrowed: Number of forwards that went on with fewer samples.
    """

    def __init__(
        self, steps: Sequence[Step], modules: Mapping[str, nn.Module], tools: Tools
    ) -> None:
        self.diverged: str | None = None
        self.valid = True
        self.spoilt = False
        self.narrowed = 0
        self._steps, self._modules, self._tools = steps, modules, tools
        self._thread = threading.get_ident()
        self._next = 0
        self._faulty = self._stopped = self._plain = False
        self._attempt: Attempt | None = None
        self._passes: list[Pass] = []

    @property
    def golden(self) -> bool:
        """Whether all forwards of the golden run were repeated and each had its golden outcome."""
        complete = 0 < self._next == len(self._steps)
        return complete and self.valid and not (self._faulty or self.diverged)

    @property
    def skipped(self) -> int:
        """Number of calls that were replaced by golden outputs."""
        return sum(each.skipped for each in self._passes)

    @property
    def masked(self) -> int:
        """Number of calls that met faults and returned their golden outputs all the same."""
        return sum(each.masked for each in self._passes)

    def __call__(
        self, path: str, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """See :class:`Actor`."""
        if self._stopped or self._plain or threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        if self._attempt is not None:
            return self._attempt.call(path, forward, (args, kwargs))
        return self._whole(path, forward, (args, kwargs))

    def check(self) -> None:
        """The evaluation has ended: see that golden values are still what they were."""
        if not all(each.loan.intact() for each in self._passes):
            self._differ("golden values were changed in place")
            self.valid, self.spoilt = False, True

    def _whole(self, path: str, forward: Callable[..., Any], given: Given) -> Any:
        """A forward that no other surrounds."""
        step = self._expected(path, given)
        if step is None or step.plan is None:
            return self._in_full(step, forward, given)
        still = Stillness(self._modules.values()) if step.plan.free else None
        attempt = Attempt(step.golden, step.plan, step.seconds, still, self._tools)
        self._attempt = attempt
        try:
            value = attempt.run(path, forward, given)
        except BaseException:
            self._stopped = True  # anything may be left half done
            raise
        finally:
            self._attempt = None
            self._faulty |= attempt.dirty or step.plan.corrupted
            self._passes += attempt.passes
        self.narrowed += attempt.narrowed
        if attempt.broken:
            self._differ(attempt.broken)
            self.valid = False
        # what faults did to the state of modules, the next forward meets
        lasts = step.golden.structure.stateful or (still is not None and still.broken())
        self._stopped |= attempt.broken is not None or (attempt.dirty and lasts)
        return value

    def _in_full(self, step: Step | None, forward: Callable[..., Any], given: Given) -> Any:
        """A forward of which nothing is known, so neither is what it leaves in modules."""
        self._faulty = self._plain = True
        try:
            return forward(*given[0], **given[1])
        finally:
            self._plain = False
            structure = None if step is None else step.golden.structure
            self._stopped |= (
                structure is None or structure.stateful or structure.last_decision != NOWHERE
            )

    def _expected(self, path: str, given: Given) -> Step | None:
        """The step to come, if this is it; without its plan where it must not be replayed."""
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

    def _differ(self, what: str) -> None:
        self.diverged = self.diverged or what
