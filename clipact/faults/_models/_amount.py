"""By rate or by count: checked, and printed like code."""

from dataclasses import fields
from numbers import Real
from typing import TYPE_CHECKING

from clipact.errors import FaultError
from clipact.faults._drawing import Amount
from clipact.faults._streams import is_integer

if TYPE_CHECKING:
    from clipact.faults._models._model import Mechanism


def checked_amount(who: str, rate: object, count: object, *, per: str = "bit") -> Amount:
    """A rate as a float, or a count.

    Args:
        who: Name of the fault model, for the error message.
        rate: Probability per place.
        count: Number of places.
        per: What a place is.

    Raises:
        FaultError: Neither or both are given, or one is out of range.
    """
    if (rate is None) == (count is None):
        raise FaultError(f"{who} got rate={rate} and count={count}; give exactly one of them")
    if count is not None:
        if not is_integer(count) or count < 0:  # pyright: ignore[reportOperatorIssue] - an integer, as was just checked
            raise FaultError(f"{who}(count={count!r}): give an integer of at least 0")
        return Amount(None, int(count))  # pyright: ignore[reportArgumentType] - an integer
    if isinstance(rate, bool) or not isinstance(rate, Real):
        raise FaultError(f"{who}(rate={rate!r}): give a number")
    if not 0.0 <= float(rate) <= 1.0:
        raise FaultError(f"{who}(rate={float(rate)}): a probability per {per} is from 0 to 1")
    return Amount(float(rate), None)


def as_code(model: "Mechanism") -> str:
    """The call that makes a fault model, without what is as by default."""
    given: list[str] = []
    for field in fields(model):  # pyright: ignore[reportArgumentType] - every mechanism is a dataclass
        value = getattr(model, field.name)
        if value != field.default:
            given.append(f"{field.name}={value!r}" if field.kw_only else repr(value))
    return f"{type(model).__name__}({', '.join(given)})"
