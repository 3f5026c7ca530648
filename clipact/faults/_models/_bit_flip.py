"""Bits that are inverted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from clipact.faults._drawing import Amount
from clipact.faults._hits import BitSpace, Codes, Hits
from clipact.faults._memory._words import Words
from clipact.faults._models._amount import as_code, check_amount
from clipact.faults._models._bits import check_positions, draw_bits, places_of_bits
from clipact.faults._models._model import Mechanism
from clipact.faults._streams import Draw


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class BitFlip(Mechanism):
    r"""Bits of the target are inverted. Give either a rate or a count.

    With ``rate=p`` every bit is flipped with probability :math:`p` (the bit error rate), independently, so that the
    number of faults is :math:`\mathrm{Binomial}(N, p)` over all :math:`N` bits of the target, and a word can have
    several. With ``count=k`` exactly :math:`k` distinct bits are flipped, uniform over all bits of the target.

    A flipped exponent bit may give ±inf or NaN; that is kept, as the hardware would: 1.5 in float32 with bit 30
    flipped is NaN.

    Args:
        rate: Probability per bit, 0 to 1.
        count: Number of bits, at least 0.
        bits: Positions in a word that may be hit, 0 the least significant: with ``range(23, 31)`` the exponent of
            float32. Rate and count are of the bits at these positions. None for all.

    Raises:
        FaultError: Neither rate nor count is given, or both, or one is out of range; a position is given twice,
            or is negative. When drawn: a word has no such position, or the target has too few bits.

    Examples:
        >>> BitFlip(rate=1e-6)
        BitFlip(rate=1e-06)
        >>> BitFlip(count=1, bits=range(23, 31))
        BitFlip(count=1, bits=range(23, 31))
    """

    rate: float | None = None
    count: int | None = None
    bits: Sequence[int] | None = None

    def __post_init__(self) -> None:
        check_amount(self, self.rate, self.count)
        check_positions(self, self.bits)

    def __repr__(self) -> str:
        return as_code(self)

    @property
    def kind(self) -> str:
        """``"flip"``."""
        return "flip"

    def expected(self, spaces: Sequence[BitSpace]) -> float:
        """``rate`` times the number of bits, or the count."""
        places = places_of_bits(self, spaces, self.bits)
        return Amount(self.rate, self.count).expected(places)

    def draw(self, spaces: Sequence[BitSpace], draw: Draw) -> list[Hits]:
        """See :class:`Mechanism`."""
        return draw_bits(self, spaces, self.bits, Amount(self.rate, self.count), draw)

    def corrupt(self, words: Words) -> Codes:
        """Exclusive or."""
        return words.codes ^ words.mask
