"""The stack of running modules."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, final

from torch import Tensor

from clipact.surgery._call import Call
from clipact.surgery._names import Source

__all__ = ["Frame", "Frames", "version_of"]


@final
@dataclass
class Frame:
    """One running module.

    Attributes:
        path: Its path.
        opaque: What it calls is its own business: it is an activation, or inside one.
        ordinals: How often it has called each source.
        calls: Its calls so far.
        returned: Its own forward has returned; what is called now, its hooks call.
        given: If it says that it works in place, what it was given, and the version that this had.
    """

    path: str
    opaque: bool
    ordinals: Counter[Source] = field(default_factory=Counter[Source])
    calls: list[Call] = field(default_factory=list[Call])
    returned: bool = False
    given: tuple[Tensor, int] | None = None

    def overwrote(self, output: Any) -> bool:
        """Whether it gave what it was given, with other values; not if its forward was replaced by one that does not."""
        if self.given is None:
            return False
        tensor, version = self.given
        return output is tensor and version_of(tensor) != version


def version_of(tensor: Tensor) -> int:
    """Of a tensor, a number that every write in place moves; 0 where torch does not count."""
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001 - there is no public way to ask


@final
class Frames:
    """The running modules, outermost first."""

    def __init__(self) -> None:
        self._stack: list[Frame] = []
        self._depths: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._stack)

    @property
    def opaque(self) -> bool:
        """Whether calls made now are no sites."""
        return bool(self._stack) and self._stack[-1].opaque

    @property
    def top(self) -> Frame:
        """The module that makes the calls; a frame of its own for a root that is itself a site."""
        return self._stack[-1] if self._stack else Frame("", opaque=False)

    def is_outside(self, path: str) -> bool:
        """Whether a call of the module at this path comes from outside the model.

        The model itself forgets, by its :meth:`end_root`, what an exception left on the stack; if a part of it was called
        from outside and raised, the model's next call finds that and clears it.
        """
        if not path and not self._depths:
            self._stack.clear()
        return not self._stack

    def push(self, path: str, *, opaque: bool) -> Frame:
        """A module starts to run."""
        if not path:
            self._depths.append(len(self._stack))
        self._stack.append(Frame(path, opaque=opaque))
        return self._stack[-1]

    def end_root(self) -> None:
        """The model itself ends, by an exception or not; what its forward left on the stack goes."""
        if self._depths:
            del self._stack[self._depths.pop() :]

    def pop(self, path: str) -> Frame:
        """It ends; so do those above it, whose forward raised and whose caller caught that."""
        while (frame := self._stack.pop()).path != path:
            pass
        return frame
