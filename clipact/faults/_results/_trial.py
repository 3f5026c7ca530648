"""One trial of a campaign."""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from clipact.faults._models import FaultModel
from clipact.faults._records._record import Fault


@final
@dataclass(frozen=True, slots=True)
class Trial:
    """One draw of faults with its evaluation.

    Attributes:
        trial: Its number; the same number draws the same faults again.
        fault: The fault model.
        metrics: What the evaluation gave; empty if it raised.
        seconds: Time of injection, evaluation and restoration.
        flips: Number of bits changed.
        digest: Of where they are; equal for equal faults.
        error: None, or the traceback of the evaluation that raised.
        faults: The faults, where they were few enough to keep.
    """

    trial: int
    fault: FaultModel
    metrics: Mapping[str, float]
    seconds: float
    flips: int
    digest: str
    error: str | None = None
    faults: tuple[Fault, ...] = ()


def traced() -> str:
    """The traceback of the exception that is being handled, as text that any file can hold."""
    return traceback.format_exc().encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def last_line(error: str) -> str:
    """The last line of a traceback, which names the exception.

    Examples:
        >>> import traceback
        >>> last_line("".join(traceback.format_exception(ValueError("bad luck"))))
        'ValueError: bad luck'
    """
    return (error.strip().splitlines() or [""])[-1].strip()
