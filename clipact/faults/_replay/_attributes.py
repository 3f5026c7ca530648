"""Notice what a piece of code does besides returning a value: to attributes of modules, random states, its arguments."""

import random
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Final, cast, final

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from clipact.faults._replay._values import is_constant

__all__ = [
    "Attributes",
    "Stillness",
    "containers",
    "random_devices",
    "randomness",
    "same_containers",
]

_OPAQUE: Final = (nn.Module, type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)
_SEQUENCES: Final = (list, tuple, set, frozenset, deque)

_DEPTH: Final = 6
"""How deep lists, mappings and plain objects are looked into."""

_Entries = list[tuple[Any, int]]


@final
class Attributes:
    """What modules held when they were last looked at: objects by identity, tensors also by their version."""

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._seen = {id(module): _entries(module) for module in modules}

    def changed(self, module: nn.Module) -> bool:
        """Whether the module holds other things than when it was last looked at, which is from now on now."""
        now = _entries(module)
        before = self._seen.get(id(module))
        self._seen[id(module)] = now
        return before is not None and not _alike(before, now)


@final
class Stillness:
    """Whether modules and random states are as they were.

    Args:
        modules: Which modules.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._modules = list(modules)
        self._devices = random_devices(self._modules)
        self._attributes = Attributes(self._modules)
        self._random = randomness(self._devices)
        self._broken = False

    def broken(self) -> bool:
        """Whether anything was found to have changed, now or when this was asked before."""
        self._broken |= any(map(self._attributes.changed, self._modules))
        self._broken |= randomness(self._devices) != self._random
        return self._broken


def random_devices(modules: Iterable[nn.Module]) -> list[torch.device]:
    """Devices of modules' tensors that have random states of their own."""
    tensors = [
        t for m in modules for t in (*m.parameters(recurse=False), *m.buffers(recurse=False))
    ]
    return sorted({t.device for t in tensors if t.device.type == "cuda"}, key=str)


def containers(arguments: Any) -> _Entries:
    """What the lists and mappings among arguments hold."""
    return [(leaf, _version(leaf)) for leaf in pytree.tree_leaves(arguments)]


def same_containers(before: _Entries, now: _Entries) -> bool:
    """Whether they hold the same objects."""
    return len(before) == len(now) and all(
        a is b for (a, _), (b, _) in zip(before, now, strict=True)
    )


def randomness(devices: Sequence[torch.device]) -> tuple[Any, ...]:
    """The random states of torch, of Python and of NumPy."""
    numpy: Any = sys.modules.get("numpy")
    legacy: Any = () if numpy is None else numpy.random.get_state()
    return (
        bytes(torch.get_rng_state().numpy()),
        *(bytes(torch.cuda.get_rng_state(device).numpy()) for device in devices),
        random.getstate(),
        *(part.tobytes() if hasattr(part, "tobytes") else part for part in legacy),
    )


def _entries(module: nn.Module) -> _Entries:
    found: _Entries = []
    met: set[int] = set()
    for name, value in module.__dict__.items():
        if name != "forward":
            found.append((name, 0))
            found.extend(_expanded(value, met, _DEPTH))
    return found


def _expanded(value: Any, met: set[int], depth: int) -> Iterator[tuple[Any, int]]:
    """The value, and what it holds, each object once."""
    yield value, _version(value)
    if is_constant(value) or isinstance(value, Tensor) or id(value) in met:
        return
    met.add(id(value))
    state = _random_state(value)
    if state is not None:
        yield state, 0
    elif depth:
        for part in _held(value):
            yield from _expanded(part, met, depth - 1)


def _held(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for name, part in cast("dict[Any, Any]", value).items():
            yield name
            yield part
    elif isinstance(value, _SEQUENCES):
        yield from cast("Iterable[Any]", value)
    elif not isinstance(value, _OPAQUE) and hasattr(value, "__dict__"):
        yield from vars(value).values()


def _random_state(value: Any) -> str | None:
    """That of a generator of random numbers."""
    if isinstance(value, torch.Generator):
        return value.get_state().numpy().tobytes().hex()
    if isinstance(value, random.Random):
        return repr(value.getstate())
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.random.Generator):
        return repr(value.bit_generator.state)
    return None


def _version(value: Any) -> int:
    if isinstance(value, Tensor) and not value.is_inference():
        return value._version  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - torch's only name for it
    return 0


def _alike(before: _Entries, now: _Entries) -> bool:
    return len(before) == len(now) and all(
        v == w and (a is b or (is_constant(a) and type(a) is type(b) and a == b))
        for (a, v), (b, w) in zip(before, now, strict=True)
    )
