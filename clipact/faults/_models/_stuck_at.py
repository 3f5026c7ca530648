"""Bits that have one value whatever is written to them."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import final

from clipact.errors import FaultError
from clipact.faults._drawing import Amount
from clipact.faults._hits import BitSpace, Codes, Hits
from clipact.faults._memory._words import Words
from clipact.faults._models._amount import as_code, check_amount
from clipact.faults._models._bits import check_positions, draw_bits, places_of_bits
from clipact.faults._models._model import Mechanism
from clipact.faults._streams import Draw, is_integer


@final
@dataclass(frozen=True, repr=False)
class StuckAt(Mechanism):
    """Bits of the target are 0, or 1, whatever is stored there: a permanent fault.

    Bits are drawn as by :class:`BitFlip`: of one seed, trial and rate the same ones. A bit that has the value already is a fault
    without effect, as in hardware, and is counted and recorded.

    Args:
        value: 0 or 1.
        rate: Probability per bit, 0 to 1.
        count: Number of bits, at least 0.
        bits: Positions in a word that may be hit, 0 the least significant; None for all.

    Raises:
        FaultError: The value is neither 0 nor 1, or as for :class:`BitFlip`.

    Examples:
        >>> StuckAt(1, rate=1e-6)
        StuckAt(1, rate=1e-06)
    """

    value: int
    _: KW_ONLY
    rate: float | None = None
    count: int | None = None
    bits: Sequence[int] | None = None

    def __post_init__(self) -> None:
        if not is_integer(self.value) or self.value not in (0, 1):
            raise FaultError(f"StuckAt({self.value!r}): a bit is stuck at 0 or at 1")
        object.__setattr__(self, "value", int(self.value))
        check_amount(self, self.rate, self.count)
        check_positions(self, self.bits)

    def __repr__(self) -> str:
        return as_code(self)

    @property
    def kind(self) -> str:
        """``"stuck-at-0"`` or ``"stuck-at-1"``."""
        return f"stuck-at-{self.value}"

    def expected(self, spaces: Sequence[BitSpace]) -> float:
        """``rate`` times the number of bits, or the count."""
        places = places_of_bits(self, spaces, self.bits)
        return Amount(self.rate, self.count).expected(places)

    def draw(self, spaces: Sequence[BitSpace], draw: Draw) -> list[Hits]:
        """See :class:`Mechanism`."""
        return draw_bits(self, spaces, self.bits, Amount(self.rate, self.count), draw)

    def corrupt(self, words: Words) -> Codes:
        """Set or clear the bits that are hit."""
        return words.codes | words.mask if self.value else words.codes & ~words.mask
