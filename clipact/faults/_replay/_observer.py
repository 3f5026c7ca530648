"""Watch a model run: every call of its modules, and what each does."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn

from clipact.faults._memory._tensors import TargetTensor
from clipact.faults._replay._arguments import Arguments, Given
from clipact.faults._replay._attributes import random_devices
from clipact.faults._replay._effects import Effects
from clipact.faults._replay._forward import Forward
from clipact.faults._replay._log import Log
from clipact.faults._replay._owners import Owners
from clipact.faults._replay._sources import Sources
from clipact.faults._replay._standins import is_opaque
from clipact.faults._replay._surroundings import surroundings
from clipact.faults._replay._trace import Trace
from clipact.faults._replay._values import plain_tensors
from clipact.faults._replay._watch import Watch, peeking

__all__ = ["Observed", "Observer"]


class Observed(NamedTuple):
    """One forward, as it was seen.

    Attributes:
        trace: What it did.
        arguments: What it was given.
        around: The modes it ran in.
        seconds: Time that each of its calls took.
        checksums: Of the tensors that each of its calls returned.
    """

    trace: Trace
    arguments: Arguments
    around: tuple[Any, ...]
    seconds: tuple[float, ...]
    checksums: tuple[tuple[int, ...], ...]


class _Current(NamedTuple):
    log: Log
    forward: Forward
    watch: Watch


@final
class Observer:
    """Stands in for the forwards of all visible modules.

    Args:
        modules: The visible modules, by path.
        tensors: The targets.
        room: Bytes that copies of arguments may take.
    """

    def __init__(
        self, modules: Mapping[str, nn.Module], tensors: Sequence[TargetTensor], room: int
    ) -> None:
        self.forwards: list[Observed] = []
        self.problem: str | None = None
        self._modules = modules
        self._sources = Sources(tensors)
        self._owners = Owners(modules, tensors)
        self._room = room
        self._thread = threading.get_ident()
        self._devices = random_devices(modules.values())
        self._current: _Current | None = None

    def __call__(
        self, path: str, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """See :class:`Actor`."""
        if threading.get_ident() != self._thread:
            self.problem = f"{path or 'the model'} runs in another thread"
            return forward(*args, **kwargs)
        if self._current is not None:
            return self._call(self._current, path, forward, (args, kwargs))
        return self._whole(path, forward, (args, kwargs))

    def _whole(self, path: str, forward: Callable[..., Any], given: Given) -> Any:
        """A forward that no other surrounds."""
        arguments, around = Arguments(given, self._room), surroundings(self._modules.values())
        self._room -= arguments.nbytes
        log = Log(self._sources, list(plain_tensors(given)))
        hooked = frozenset(path for path, module in self._modules.items() if has_hooks(module))
        always = [self._modules[path] for path in sorted(hooked)]
        effects = Effects(self._modules, self._devices, always)
        under = Forward(log, effects, hooked, self._owners)
        current = self._current = _Current(log, under, Watch(log))
        try:
            with current.watch, peeking(log):
                value = self._call(current, path, forward, given)
        finally:
            self._current = None
        seen = Observed(under.trace(), arguments, around, under.seconds, under.checksums)
        self.forwards.append(seen)
        return value

    def _call(self, current: _Current, path: str, forward: Callable[..., Any], given: Given) -> Any:
        module = self._modules[path]
        with current.log.muted():
            number = current.forward.open(path, module, given)
        try:
            if is_opaque(module):
                value = _hidden(current, module, forward, given)
            else:
                value = forward(*given[0], **given[1])
        except BaseException:
            self.problem = f"{path or 'the model'} raised in its forward"
            current.forward.abandon(number)
            raise
        for device in self._devices:
            torch.cuda.synchronize(device)
        with current.log.muted():
            current.forward.close(number, given, value)
        return value


def _hidden(current: _Current, module: nn.Module, forward: Callable[..., Any], given: Given) -> Any:
    """Code that must not be watched: compiled, it would run as another."""
    tensors = list(plain_tensors(given))
    versions = [_version(tensor) for tensor in tensors]
    current.watch.__exit__(None, None, None)
    try:
        value = forward(*given[0], **given[1])
    finally:
        current.watch.__enter__()
    held = [*module.parameters(), *module.buffers()]
    written = [t for t, v in zip(tensors, versions, strict=True) if v is None or v != _version(t)]
    current.log.hide([*tensors, *plain_tensors(held)], written, list(plain_tensors(value)))
    return value


def _version(tensor: Tensor) -> int | None:
    """How often a tensor was changed in place; None where torch does not count."""
    return None if tensor.is_inference() else tensor._version  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - torch's only name for it


def has_hooks(module: nn.Module) -> bool:
    """Whether anybody is told when the module runs."""
    return bool(module._forward_hooks or module._forward_pre_hooks)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - torch's only names for them
