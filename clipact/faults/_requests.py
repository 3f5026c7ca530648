"""What a user may ask for, checked by kind before anything else happens."""

import math
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from clipact.errors import CampaignError, FaultError
from clipact.faults._formats import Format
from clipact.faults._hits import BitSpace
from clipact.faults._memory._caches import check_uncached
from clipact.faults._models import FaultModel
from clipact.faults._streams import is_integer
from clipact.faults._targets import Target

_HARDLY_EVER = 0.01
_MOST = 10_000_000


def check_kind(what: str, value: object, kind: type, example: str) -> None:
    """Refuse a value of another type, with a hint where the class was given in place of an object.

    Raises:
        FaultError: ``value`` is not a ``kind``.
    """
    if isinstance(value, kind):
        return
    if isinstance(value, type):
        raise FaultError(f"{what} is the class {value.__name__}; give an object, as {example}")
    raise FaultError(f"{what}={value!r} is a {type(value).__name__}; give {example}")


def check_number(what: str, value: object, wanted: str, most: float = math.inf) -> None:
    """Refuse what is no number from 0 to ``most``.

    Raises:
        CampaignError: It is not.
    """
    if not isinstance(value, int | float) or not 0.0 <= value <= most:
        raise CampaignError(f"{what}={value!r}: give {wanted}")


def check_request(model: object, fault: object, target: object, format: object) -> None:  # noqa: A002 - as in inject
    """Refuse what is not a model, a fault model, a target and a number format that work together.

    Raises:
        FaultError: One of them has another type, or caching would hide the faults.
    """
    check_kind("model", model, nn.Module, "an nn.Module")
    check_kind("fault", fault, FaultModel, "faults.BitFlip(rate=1e-6)")
    check_kind("target", target, Target, "faults.Weights()")
    check_kind("format", format, Format, "faults.Native()")
    if isinstance(model, nn.Module):
        check_uncached(model)


def check_trials(trials: object) -> None:
    """Refuse a number of trials that is not a positive integer.

    Raises:
        FaultError: It is not.
    """
    if not is_integer(trials):
        raise FaultError(f"trials={trials!r} is a {type(trials).__name__}; give an integer")
    if trials < 1:  # pyright: ignore[reportOperatorIssue] - an integer, as was just checked
        raise FaultError(f"trials={trials}: give at least one trial")
    if trials > _MOST:  # pyright: ignore[reportOperatorIssue] - as above
        raise FaultError(
            f"trials={trials}: a campaign has at most {_MOST:,}; run(seconds=…) ends sooner"
        )


def several(faults: object) -> tuple[FaultModel, ...]:
    """Fault models, each once.

    Raises:
        FaultError: There is none, one twice, or something else.
    """
    given: list[Any] = list(faults) if isinstance(faults, Iterable) else [faults]
    for each in given:
        check_kind("fault", each, FaultModel, "faults.BitFlip(rate=1e-6)")
    if not given or len(set(given)) < len(given):
        raise FaultError(f"fault={given}: give at least one fault model, each once")
    return tuple(given)


def check_expected(fault: FaultModel, spaces: Sequence[BitSpace], trials: int) -> None:
    """Warn of a campaign in which hardly anything is hit."""
    expected, bits = fault.expected(spaces), sum(space.bits for space in spaces)
    if 0.0 < expected < _HARDLY_EVER:
        warnings.warn(
            f"{fault} on {bits:,} bits gives {expected:.2g} faults a trial on average, {expected * trials:.2g} in all"
            f" {trials} trials: hardly any trial has a fault; raise the rate, or use a count",
            UserWarning,
            stacklevel=3,
        )
