"""Names of sites: stable for a given model, free of clashes."""

from collections.abc import Mapping
from enum import Enum, auto
from itertools import count
from typing import NamedTuple, final

from torch import nn

__all__ = ["Names", "Origin", "Source", "join", "split"]


class Origin(Enum):
    """How a container gets hold of what it calls."""

    MODULE = auto()
    ATTRIBUTE = auto()
    FUNCTION = auto()


class Source(NamedTuple):
    """What is called: a registered module or a function in an attribute, by path, or a function by its name."""

    name: str
    origin: Origin

    @property
    def is_path(self) -> bool:
        """Whether the name is a path in the model, at which something else can be put."""
        return self.origin is not Origin.FUNCTION


def join(path: str, key: str) -> str:
    """The dotted path of ``key`` in the module at ``path``."""
    return f"{path}.{key}" if path else key


def split(path: str) -> tuple[str, str]:
    """The parent's path and the last key."""
    parent, _, key = path.rpartition(".")
    return parent, key


@final
class Names:
    """Gives each call its name, the same one each time the same call comes by.

    Args:
        modules: The containers by path.
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        self._modules = modules
        self._given: dict[tuple[str, Source, int], str] = {}
        self._taken: set[str] = set()

    def of(self, caller: str, source: Source, ordinal: int) -> str:
        """The name of the ``ordinal``-th (from 1) call of ``source`` in one run of the container ``caller``."""
        key = (caller, source, ordinal)
        if key not in self._given:
            own = source.is_path and ordinal == 1 and source.name not in self._taken
            name = source.name if own else self._next(caller, source)
            self._given[key] = name
            self._taken.add(name)
        return self._given[key]

    def _next(self, caller: str, source: Source) -> str:
        base = source.name
        if source.is_path:
            base = base.removeprefix(f"{caller}.").replace(".", "_")
        for number in count(2 if source.is_path else 1):
            key = base if number == 1 else f"{base}_{number}"
            name = join(caller, key)
            if name not in self._taken and not _has(self._modules[caller], key):
                return name
        raise AssertionError  # count() does not end


def _has(module: nn.Module, key: str) -> bool:
    """Like hasattr, without running the module's properties."""
    tables = [
        module.__dict__,
        *(module.__dict__[table] for table in ("_modules", "_parameters", "_buffers")),
    ]
    return any(key in table for table in tables) or hasattr(type(module), key)
