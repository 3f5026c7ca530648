"""Which parts of an object pickle refuses, by the path a user would write."""

import types
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import torch
from torch import nn
from torch.nn.utils import parametrize

from clipact.faults._shipping._pickling import TrialPickler

_AT_MOST: Final = 5
_TABLES: Final = ("_modules", "_parameters", "_buffers")


class Culprit(NamedTuple):
    """One object that cannot be pickled."""

    path: str
    value: Any


def explain(objects: Any, error: Exception) -> str:
    """Say in one sentence what cannot be pickled and what to do about it."""
    found = _search(objects, "", {})
    listed = ", ".join(f"{path or 'it'}: {_describe(value)}" for path, value in found)
    reason = f" ({error})" if len(found) == 1 else ""
    functions = all(isinstance(value, types.FunctionType | type) for _, value in found)
    remedy = (
        "define it at module level, in a file that can be imported"
        if functions
        else "make it where it is used, or leave it out of the object's state (__getstate__)"
    )
    return (
        f"the model and evaluation cannot be sent to worker processes, since pickle refuses {listed}{reason}; {remedy}, or"
        " run in process (executor=None)"
    )


def _search(value: Any, path: str, seen: dict[int, Any]) -> list[Culprit]:
    """The innermost objects that cannot be pickled; those seen are kept, so that an id stays one object's."""
    seen[id(value)] = value
    found: list[Culprit] = []
    refused = False
    for step, child in _parts(value):
        if len(found) < _AT_MOST and not _can_be_pickled(child):
            refused = True
            if id(child) not in seen:
                found += _search(child, path + step if path else step.removeprefix("."), seen)
    return found[:_AT_MOST] if refused else [Culprit(path, value)]


def _can_be_pickled(value: Any) -> bool:
    try:
        TrialPickler().dump(value)
    except Exception:
        return False
    return True


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What an object consists of, each with the text that leads from it there."""
    if isinstance(value, nn.Module) and not isinstance(value, torch.jit.ScriptModule):
        yield from _module_parts(value)
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield f"[{key!r}]", key
            yield _key(key), child
    elif isinstance(value, list | tuple | set | frozenset):
        for place, child in enumerate(value):
            yield f"[{place}]", child
    elif isinstance(value, partial):
        yield from ((".func", value.func), (".args", value.args), (".keywords", value.keywords))
    elif isinstance(value, types.MethodType):
        yield ".__self__", value.__self__
    elif not isinstance(value, type | types.FunctionType | torch.jit.ScriptModule):
        yield from _state_parts(value)


def _module_parts(module: nn.Module) -> Iterator[tuple[str, Any]]:
    yield ".__class__", parametrize.type_before_parametrizations(module)
    for table in _TABLES:
        for name, child in dict(module.__dict__.get(table, {})).items():
            yield f"[{name}]" if name.isdecimal() else f".{name}", child
    for name, child in module.__dict__.items():
        if name not in _TABLES:
            yield f".{name}", child


def _state_parts(value: Any) -> Iterator[tuple[str, Any]]:
    try:
        reduced = value.__reduce_ex__(5)
    except Exception:  # this object itself is what cannot be pickled
        return
    if isinstance(reduced, str):
        return
    parts: list[Any] = [*reduced, None, None, None]
    _, arguments, state, items, pairs = parts[:5]
    for place, child in enumerate(arguments):
        yield ".__class__" if child is type(value) else f"(argument {place})", child
    if isinstance(state, Mapping):
        for name, child in state.items():
            yield f".{name}", child
    elif state is not None:
        yield "(state)", state
    for place, child in enumerate(items or ()):
        yield f"[{place}]", child
    for key, child in pairs or ():
        yield _key(key), child


def _key(key: Any) -> str:
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"


def _describe(value: Any) -> str:
    if isinstance(value, types.FunctionType):
        code = value.__code__
        return f"function {value.__qualname__} ({code.co_filename}:{code.co_firstlineno})"
    if isinstance(value, type):
        return f"class {value.__qualname__}"
    return f"a {type(value).__qualname__}"
