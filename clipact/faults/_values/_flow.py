"""What flows through a model in the forwards of an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from clipact.faults._formats import Format
from clipact.faults._hits import BitSpace
from clipact.faults._values._batch import Batch
from clipact.faults._values._place import Place


@final
@dataclass(frozen=True)
class Forward:
    """One call of the model, or of a part of it, from outside.

    Attributes:
        batch: What it was given.
        places: Names of the places that were met.
    """

    batch: Batch
    places: frozenset[str]


@final
@dataclass(frozen=True)
class Flow:
    """The places of a target, as some forwards met them.

    Attributes:
        places: In order of execution.
        forwards: The forwards, in order.
    """

    places: tuple[Place, ...]
    forwards: tuple[Forward, ...]

    def spaces(self, format: Format) -> Sequence[BitSpace]:  # noqa: A002 - as in inject
        """The bits of one sample of each place.

        Raises:
            FaultError: Values at one of them cannot be written in the format.
        """
        return [place.space(format) for place in self.places]
