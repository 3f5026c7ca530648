"""What a fault model is: one mechanism, or several one after the other."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from clipact.errors import FaultError
from clipact.faults._hits import BitSpace, Codes, Hits, bits_hit
from clipact.faults._memory._words import Words
from clipact.faults._streams import Draw


class FaultModel(ABC):
    """What happens to words: one :class:`Mechanism`, or several with ``+``, applied in this order."""

    @property
    @abstractmethod
    def parts(self) -> "tuple[Mechanism, ...]":
        """The mechanisms, in the order in which they are applied."""

    @abstractmethod
    def expected(self, spaces: Sequence[BitSpace]) -> float:
        """Expected number of faults in these tensors."""

    def __add__(self, other: "FaultModel") -> "Combination":
        if not isinstance(other, FaultModel):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may not check types
            found = f"the class {other.__name__}" if isinstance(other, type) else repr(other)
            raise FaultError(
                f"{self} + {found}: add fault models, as BitFlip(count=1) + StuckAt(1, count=1)"
            )
        return Combination((*self.parts, *other.parts))


class Mechanism(FaultModel):
    """Draws hits and says what a word becomes. Subclasses are frozen dataclasses; all methods are pure functions."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """What the faults are called in a record."""

    @property
    def whole_words(self) -> bool:
        """Whether a fault is a word, not a bit."""
        return False

    @property
    def parts(self) -> "tuple[Mechanism, ...]":
        """Itself."""
        return (self,)

    @abstractmethod
    def draw(self, spaces: Sequence[BitSpace], draw: Draw) -> list[Hits]:
        """The hits in each tensor.

        Raises:
            FaultError: The tensors have too few places, or words that do not fit.
        """

    @abstractmethod
    def corrupt(self, words: Words) -> Codes:
        """The words' bits after the fault, as a new array."""


@final
@dataclass(frozen=True, repr=False)
class Combination(FaultModel):
    """Several mechanisms, each with draws of its own, applied one after the other; made by ``+``.

    Args:
        mechanisms: In the order in which they are applied.
    """

    mechanisms: tuple[Mechanism, ...]

    @property
    def parts(self) -> tuple[Mechanism, ...]:
        """See :class:`FaultModel`."""
        return self.mechanisms

    def expected(self, spaces: Sequence[BitSpace]) -> float:
        """The sum."""
        return sum(part.expected(spaces) for part in self.mechanisms)

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.mechanisms))


def draw_parts(fault: FaultModel, spaces: Sequence[BitSpace], draw: Draw) -> list[list[Hits]]:
    """Of each part of the fault model, the hits in each tensor.

    Raises:
        FaultError: As :meth:`Mechanism.draw`.
    """
    return [
        part.draw(spaces, replace(draw, part=place) if place else draw)
        for place, part in enumerate(fault.parts)
    ]


def number_of_faults(fault: FaultModel, hits: Sequence[Sequence[Hits]]) -> int:
    """How many faults were drawn: bits that are hit, or words where a fault is a whole word.

    Args:
        fault: The fault model.
        hits: Of each part of it, the hits in each tensor.
    """
    return sum(
        sum(one.index.size for one in part) if mechanism.whole_words else bits_hit(part)
        for mechanism, part in zip(fault.parts, hits, strict=True)
    )
