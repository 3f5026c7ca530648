"""How a result is looked at."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class View:
    """How a result is looked at: the arguments of :func:`campaign_page`."""

    metric: str
    tolerance: float
    margin: float | None
    confidence: float
