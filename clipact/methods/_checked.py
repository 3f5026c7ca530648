"""Settings of the wrong type, refused where they are made."""

from collections.abc import Sequence
from dataclasses import MISSING, Field, fields
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin

__all__ = ["check_fields"]

_WORDS: Final[dict[Any, str]] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a string",
    NoneType: "None",
}


def check_fields(settings: Any) -> None:
    """Refuse values of other types than the dataclass declares; whole numbers are numbers, but True is none.

    Args:
        settings: A dataclass whose annotations are classes, unions of them, and tuples of one kind.

    Raises:
        TypeError: Names all such fields, what they take, and their defaults for an example.
    """
    wrong = [
        each for each in fields(settings) if not _fits(getattr(settings, each.name), each.type)
    ]
    if wrong:
        given = ", ".join(f"{each.name}={getattr(settings, each.name)!r}" for each in wrong)
        takes = "; ".join(f"{each.name} takes {_takes(each)}" for each in wrong)
        raise TypeError(f"{type(settings).__name__}({given}) asked for; {takes}")


def _fits(value: Any, kind: Any) -> bool:
    if isinstance(kind, UnionType):
        return any(_fits(value, each) for each in get_args(kind))
    if get_origin(kind) is tuple:
        return _is_series(value) and all(_fits(each, get_args(kind)[0]) for each in value)
    if kind in (int, float):
        return not isinstance(value, bool) and isinstance(value, Integral if kind is int else Real)
    return isinstance(value, kind)


def _is_series(value: Any) -> bool:
    """A tuple or list, or an array of one dimension."""
    return isinstance(value, Sequence) or getattr(value, "ndim", 0) == 1


def _takes(field: Field[Any]) -> str:
    said, default = _named(field.type), field.default
    if default is MISSING or default is None:
        return said
    return f"{said}, for example {repr(str(default)) if isinstance(default, str) else default}"


def _named(kind: Any) -> str:
    if isinstance(kind, UnionType):
        return " or ".join(_named(each) for each in get_args(kind))
    if get_origin(kind) is tuple:
        return "a tuple of numbers"
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    return _WORDS.get(kind) or f"{article} {kind.__name__}"
