"""The tensors in what a layer returns or a model is given, by their place in it."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple, cast

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


class Leaf(NamedTuple):
    """A tensor in a nested value.

    Attributes:
        path: How it is reached: ``""``, ``[0]``, ``['out'][1]``, ``.logits``.
        tensor: The tensor.
        packed: It holds the steps of a packed sequence, in which those of a sample do not lie together.
    """

    path: str
    tensor: Tensor
    packed: bool


def leaves(value: Any, path: str = "") -> Iterator[Leaf]:
    """Every tensor in tuples, lists, mappings, data classes and packed sequences, in order."""
    if isinstance(value, Tensor):
        yield Leaf(path, value, packed=False)
    elif isinstance(value, PackedSequence):
        yield Leaf(path, value.data, packed=True)
    else:
        for step, child in _children(value):
            yield from leaves(child, path + step)


def replaced(value: Any, tensors: Mapping[str, Tensor], path: str = "") -> Any:
    """The same value with other tensors at some paths; neither it nor anything in it is modified."""
    if isinstance(value, Tensor):
        return tensors.get(path, value)
    if isinstance(value, PackedSequence):
        return value._replace(data=tensors.get(path, value.data))
    changed = {
        step: new
        for step, child in _children(value)
        if (new := replaced(child, tensors, path + step)) is not child
    }
    return _with(value, changed) if changed else value


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, child in cast("Mapping[Any, Any]", value).items():
            yield f"[{key!r}]", child
    elif isinstance(value, tuple | list):
        for place, child in enumerate(cast("list[Any]", value)):
            yield f"[{place}]", child
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield f".{field.name}", getattr(value, field.name)


def _with(value: Any, changed: Mapping[str, Any]) -> Any:
    if isinstance(value, tuple | list):
        items = [changed.get(step, child) for step, child in _children(value)]
        kind: Any = type(cast("Any", value))
        return kind(*items) if hasattr(kind, "_fields") else kind(items)
    other: Any = copy.copy(value)
    if isinstance(value, Mapping):
        for key in cast("Mapping[Any, Any]", value):
            if (step := f"[{key!r}]") in changed:
                other[key] = changed[step]
    else:
        for step, child in changed.items():
            object.__setattr__(other, step.removeprefix("."), child)
    return other
