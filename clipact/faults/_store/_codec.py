"""Fault models, number formats and estimators as JSON: the class's name, its fields, and the text it prints.

They come back by looking among the classes that exist in this program; nothing in a file is run.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from numbers import Integral, Real
from typing import Any, TypeAlias, cast, get_args, get_type_hints

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class UnreadableError(ValueError):
    """Nothing in this program is what the JSON describes."""


def encode(value: object) -> Json:
    """Plain JSON of a frozen dataclass whose fields are plain values, enums, tuples and such dataclasses.

    What is none of these is written as its text, and does not come back.
    """
    if isinstance(value, Enum):
        return {"enum": type(value).__name__, "member": value.name}
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Real):
        return _number(value)
    if isinstance(value, tuple):
        return [encode(part) for part in cast("tuple[object, ...]", value)]
    if is_dataclass(value) and not isinstance(value, type):
        held: dict[str, Json] = {
            f.name: encode(getattr(value, f.name)) for f in fields(value) if f.init
        }
        return {"class": type(value).__name__, "fields": held, "text": str(value)}
    return {"text": repr(value)}


def decode(source: Json, kinds: Iterable[type]) -> Any:
    """What :func:`encode` made JSON of.

    Args:
        source: The JSON.
        kinds: Of what class it can be: one of these or a subclass.

    Raises:
        UnreadableError: No such class has this name, or it does not make an object of these fields that prints the
            same text.
    """
    match source:
        case list():
            return tuple(decode(part, kinds) for part in source)
        case {"float": str(number)}:
            return float(number)
        case {"enum": str(name), "member": str(member)}:
            return _member(name, member, kinds)
        case {"class": str(name), "fields": dict(held), "text": text}:
            return _object(name, held, text, kinds)
        case dict():
            raise UnreadableError(show(source))
        case _:
            return source


def show(source: Json) -> str:
    """JSON as a reader would write what it stands for."""
    match source:
        case {"text": str(text)}:
            return text
        case {"enum": str(name), "member": str(member)}:
            return f"{name}.{member}"
        case {"float": str(number)}:
            return number
        case list():
            return ", ".join(map(show, source)) or "none"
        case _:
            return str(source)


def _number(value: Real) -> Json:
    if isinstance(value, Integral):
        return int(value)
    number = float(value)
    return number if math.isfinite(number) else {"float": repr(number)}


def _member(name: str, member: str, kinds: Iterable[type]) -> Enum:
    for kind in kinds:
        if issubclass(kind, Enum) and kind.__name__ == name and member in kind.__members__:
            return kind[member]
    raise UnreadableError(f"{name}.{member}")


def _object(name: str, held: Mapping[str, Json], text: Json, kinds: Iterable[type]) -> object:
    named = [kind for kind in _subclasses(kinds) if kind.__name__ == name and is_dataclass(kind)]
    if not named:
        raise UnreadableError(f"there is no class {name}")
    kind = named[
        -1
    ]  # of several with one name, the one defined last, as in a notebook cell run twice
    try:
        hints = get_type_hints(kind)
        found = kind(**{n: decode(part, _classes(hints.get(n))) for n, part in held.items()})
    except Exception as error:  # a class of another version may refuse the fields in any way
        raise UnreadableError(f"{name} does not take {dict(held)}: {error!r}") from error
    if str(found) != text:
        raise UnreadableError(f"{name} prints {found}, not {text}")
    return found


def _subclasses(kinds: Iterable[type]) -> Iterator[type]:
    for kind in kinds:
        if kind is not object:
            yield kind
            yield from _subclasses(kind.__subclasses__())


def _classes(hint: object) -> tuple[type, ...]:
    """The classes that a type hint names."""
    if inner := get_args(hint):
        return tuple(kind for part in inner for kind in _classes(part))
    return (hint,) if isinstance(hint, type) else ()
