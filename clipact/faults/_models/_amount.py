"""How many places are hit, checked; and fault models printed like code."""

from collections.abc import Sequence
from dataclasses import fields
from enum import Enum
from numbers import Real
from typing import TYPE_CHECKING, cast

from clipact.errors import FaultError
from clipact.faults._streams import is_integer

if TYPE_CHECKING:
    from clipact.faults._models._model import Mechanism


def check_amount(model: "Mechanism", rate: object, count: object, *, per: str = "bit") -> None:
    """Check the fields ``rate`` and ``count`` of a new fault model, and keep a float or an int in them.

    Args:
        model: The fault model.
        rate: Probability per place.
        count: Number of places.
        per: What a place is.

    Raises:
        FaultError: Neither or both are given, or one is out of range.
    """
    who = type(model).__name__
    if (rate is None) == (count is None):
        raise FaultError(f"{who} got rate={rate} and count={count}; give exactly one of them")
    if count is not None:
        if not is_integer(count) or count < 0:
            raise FaultError(f"{who}(count={count!r}): give an integer of at least 0")
        object.__setattr__(model, "count", int(count))
        return
    probability = checked_number(who, "rate", rate)
    if not 0.0 <= probability <= 1.0:
        raise FaultError(f"{who}(rate={probability}): a probability per {per} is from 0 to 1")
    object.__setattr__(model, "rate", probability)


def checked_number(who: str, what: str, value: object) -> float:
    """A real number as a float.

    Raises:
        FaultError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise FaultError(f"{who}({what}={value!r}): give a number")
    return float(value)


def as_code(model: "Mechanism") -> str:
    """The call that makes a fault model, without what is as by default."""
    given: list[str] = []
    for field in fields(model):  # pyright: ignore[reportArgumentType] - every mechanism is a dataclass
        value = getattr(model, field.name)
        if value != field.default:
            given.append(f"{field.name}={_show(value)}" if field.kw_only else _show(value))
    return f"{type(model).__name__}({', '.join(given)})"


def _show(value: object) -> str:
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, tuple):
        return _show_positions(cast("Sequence[int]", value))
    return repr(value)


def _show_positions(positions: Sequence[int]) -> str:
    first, last = positions[0], positions[-1]
    if len(positions) > 2 and last - first == len(positions) - 1:
        return f"range({first}, {last + 1})"
    return repr(tuple(positions))
