"""Everything that operations do during one forward, as they do it."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import final

from torch import Tensor

from clipact.faults._replay._memory import Memory
from clipact.faults._replay._sources import Sources
from clipact.faults._replay._trace import NOWHERE, Read, Touch

__all__ = ["Log"]


@final
class Log:
    """The operations of one forward, each in the code of the innermost call that is open.

    Args:
        sources: The targets; outlives the forward.
        arguments: Tensors among the arguments of the forward.
    """

    def __init__(self, sources: Sources, arguments: Sequence[Tensor]) -> None:
        self.memory = Memory()
        self.reads: list[Read] = []
        self.decisions: list[int] = []
        self.bent: list[tuple[int, int]] = []  # storage and call of in-place changes of shape
        self.overhead = 0.0  # seconds spent on looking, not on what is looked at
        self.silent = False
        self._sources = sources
        self._time = NOWHERE
        self._open: list[int] = []
        self._places: list[int] = []
        sources.begin(arguments)
        for tensor in arguments:
            self.memory.number(tensor)

    @contextmanager
    def muted(self) -> Generator[None]:
        """Inside, what happens is not the model's doing."""
        self.silent = True
        try:
            yield
        finally:
            self.silent = False

    @property
    def call(self) -> int:
        """The innermost open call."""
        return self._open[-1] if self._open else NOWHERE

    def tick(self) -> int:
        """The time, which goes on by one."""
        self._time += 1
        return self._time

    def enter(self, call: int) -> None:
        """A call begins."""
        if self._places:
            self._places[-1] += 1
        self._open.append(call)
        self._places.append(0)

    def leave(self) -> None:
        """The innermost call ends."""
        self._open.pop()
        self._places.pop()

    def operate(
        self,
        inputs: Sequence[Tensor],
        written: Sequence[Tensor],
        outputs: Sequence[Tensor],
        *,
        view: bool,
    ) -> None:
        """An operation with these inputs overwrote some of them and returned these outputs."""
        time, call = self.tick(), self.call
        for tensor in inputs:
            self._touch(tensor, time, Touch.VIEW if view else Touch.READ)
        for tensor in written:
            self.memory.use(tensor, time, call, Touch.WRITE)
        self.memory.create(outputs, time, call)
        if not view:
            self._sources.flow(inputs, [*written, *outputs])

    def create(self, tensors: Sequence[Tensor]) -> None:
        """These came to be now, unless they were met before."""
        self.memory.create(tensors, self.tick(), self.call)

    def decide(self) -> None:
        """Values of tensors became values of Python."""
        self.decisions.append(self.tick())

    def peek(self, tensor: Tensor, *, write: bool) -> None:
        """Python took a tensor's values, or (``write``) its memory, so that it may be changed out of sight."""
        time = self.tick()
        self._touch(tensor, time, Touch.READ)
        if write and not self._sources.of(tensor):
            self.memory.use(tensor, time, self.call, Touch.WRITE)
            self._sources.vary([tensor])
        self.decisions.append(time)

    def bend(self, tensor: Tensor) -> None:
        """An operation changed the shape of a tensor in place."""
        self.bent.append((self.memory.number(tensor), self.call))

    def hide(
        self, inputs: Sequence[Tensor], written: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> None:
        """A call ran out of sight: on these inputs, of which it may have overwritten some."""
        time = self.tick()
        for tensor in inputs:
            self._touch(tensor, time, Touch.READ)
        for tensor in written:
            self.memory.use(tensor, time, self.call, Touch.WRITE)
        self.memory.create(outputs, time, self.call)
        self._sources.vary([*written, *outputs])
        self.decisions.append(time)

    def _touch(self, tensor: Tensor, time: int, touch: Touch) -> None:
        self.memory.use(tensor, time, self.call, touch)
        if touch is not Touch.VIEW:
            place = self._places[-1] if self._places else 0
            self.reads += [
                Read(number, time, self.call, place) for number in sorted(self._sources.of(tensor))
            ]
