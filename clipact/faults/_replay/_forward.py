"""One forward under observation: calls are opened and closed, and become a trace."""

from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, final

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from clipact.faults._replay._attributes import containers, same_containers
from clipact.faults._replay._effects import Effects
from clipact.faults._replay._log import Log
from clipact.faults._replay._owners import Owners
from clipact.faults._replay._trace import NOWHERE, Call, Output, Read, TensorSpec, Touch, Trace
from clipact.faults._replay._values import checksum, is_constant, is_plain, plain_tensors

__all__ = ["Forward"]


@final
@dataclass(eq=False)
class _Open:
    path: str
    module: nn.Module
    ordinal: int
    parent: int
    place: int
    enter: int
    held: Any
    start: float
    overhead: float
    exit: int = NOWHERE
    children: list[int] = field(default_factory=list[int])
    output: Output | None = None
    seconds: float = 0.0
    checksums: list[Tensor] = field(default_factory=list[Tensor])


@final
class Forward:
    """Opens and closes calls.

    Args:
        log: Of the operations.
        effects: Of the calls on modules.
        hooked: Paths of modules whose hooks somebody may miss.
        owners: Who has the targets.
    """

    def __init__(
        self,
        log: Log,
        effects: Effects,
        hooked: frozenset[str],
        owners: Owners,
    ) -> None:
        self._log = log
        self._effects = effects
        self._hooked = hooked
        self._owners = owners
        self._calls: list[_Open] = []
        self._stack: list[int] = []
        self._ordinals: dict[str, int] = {}

    def open(self, path: str, module: nn.Module, given: Any) -> int:
        """A call begins."""
        began = perf_counter()
        stack = [self._calls[n].module for n in self._stack]
        self._effects.look(self._log.call, stack, module)
        number, parent = len(self._calls), self._log.call
        ordinal = self._ordinals[path] = self._ordinals.get(path, -1) + 1
        place = len(self._calls[parent].children) if self._stack else 0
        if self._stack:
            self._calls[parent].children.append(number)
        call = _Open(
            path, module, ordinal, parent, place, self._log.tick(), containers(given), 0.0, 0.0
        )
        self._calls.append(call)
        self._stack.append(number)
        self._log.enter(number)
        call.start = perf_counter()
        self._log.overhead += call.start - began
        call.overhead = self._log.overhead
        return number

    def close(self, number: int, given: Any, value: Any) -> None:
        """A call has returned a value."""
        call, ended = self._calls[number], perf_counter()
        call.seconds = max(ended - call.start - (self._log.overhead - call.overhead), 0.0)
        self._effects.look(number, [self._calls[n].module for n in self._stack])
        if not same_containers(call.held, containers(given)):
            self._effects.blamed.add(number)
        call.held = None
        call.output, call.checksums = self._output(number, value)
        self.abandon(number)
        self._log.overhead += perf_counter() - ended

    def abandon(self, number: int) -> None:
        """A call ends."""
        self._calls[number].exit = self._log.tick()
        self._stack.pop()
        self._log.leave()

    def _output(self, number: int, value: Any) -> tuple[Output | None, list[Tensor]]:
        leaves, spec = pytree.tree_flatten(value)
        plain = all(is_plain(leaf) or is_constant(leaf) for leaf in leaves)
        for tensor in plain_tensors(value):
            self._log.memory.use(tensor, self._log.tick(), number, Touch.VIEW)
        if not plain:
            return None, []
        sums = [checksum(leaf) for leaf in leaves if is_plain(leaf)]
        return Output(spec, tuple(map(self._spec, leaves))), sums

    def _spec(self, leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        storage = self._log.memory.number(leaf)
        offset = int(leaf.storage_offset())
        return TensorSpec(storage, leaf.dtype, tuple(leaf.shape), tuple(leaf.stride()), offset)

    def trace(self) -> Trace:
        """What was seen, once all calls have ended."""
        self._effects.end()
        for storage, call in self._log.bent:
            self._blame_bend(storage, call)
        watched = self._above({n for n, c in enumerate(self._calls) if c.path in self._hooked})
        impure = self._above(self._effects.blamed) | self._effects.blamed
        memory = self._log.memory
        return Trace(
            calls=tuple(
                Call(
                    c.path,
                    c.ordinal,
                    c.parent,
                    c.place,
                    c.enter,
                    c.exit,
                    tuple(c.children),
                    c.output,
                    pure=n not in impure,
                    watched=n in watched,
                )
                for n, c in enumerate(self._calls)
            ),
            created=tuple(memory.created),
            creator=tuple(memory.creator),
            nbytes=tuple(memory.nbytes),
            devices=tuple(memory.devices),
            uses=tuple(memory.uses),
            reads=tuple(sorted([*self._log.reads, *self._unseen()], key=lambda read: read.time)),
            decisions=tuple(self._log.decisions),
            alive=memory.alive(),
        )

    def _unseen(self) -> list[Read]:
        """What no operation was seen to read, its owner may have read when it was called."""
        called = {call.path for call in self._calls}
        seen = {read.tensor for read in self._log.reads}
        readers = {n: self._owners.readers(n, called) for n in self._owners.all - seen}
        return [
            Read(tensor, call.enter, number, 0)
            for number, call in enumerate(self._calls)
            for tensor in sorted(readers)
            if call.path in readers[tensor]
        ]

    @property
    def seconds(self) -> tuple[float, ...]:
        """Of each call."""
        return tuple(call.seconds for call in self._calls)

    @property
    def checksums(self) -> tuple[tuple[int, ...], ...]:
        """Of each call."""
        return tuple(tuple(int(s) for s in call.checksums) for call in self._calls)

    def _above(self, calls: set[int]) -> set[int]:
        """The calls from whose code these were made, directly or not."""
        found: set[int] = set()
        for number in calls:
            while (number := self._calls[number].parent) != NOWHERE:
                found.add(number)
        return found

    def _blame_bend(self, storage: int, call: int) -> None:
        """An in-place change of shape is seen by those who had the tensor before."""
        created = self._log.memory.created[storage]
        while call != NOWHERE:
            if created < self._calls[call].enter:
                self._effects.blamed.add(call)
            call = self._calls[call].parent
