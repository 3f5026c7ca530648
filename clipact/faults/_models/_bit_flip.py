"""Bits that are inverted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from clipact.faults._drawing import Places, draw_places
from clipact.faults._hits import BitSpace, Codes, Hits, bit_hits
from clipact.faults._models._amount import as_code, checked_amount
from clipact.faults._models._model import Mechanism
from clipact.faults._streams import Draw
from clipact.faults._words import Words


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

    Raises:
        FaultError: Neither or both are given, or one is out of range.

    Examples:
        >>> BitFlip(rate=1e-6)
        BitFlip(rate=1e-06)
    """

    kind: ClassVar[str] = "flip"
    rate: float | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        amount = checked_amount("BitFlip", self.rate, self.count)
        object.__setattr__(self, "rate", amount.rate)

    def __repr__(self) -> str:
        return as_code(self)

    def expected(self, spaces: Sequence[BitSpace]) -> float:
        """``rate`` times the number of bits, or the count."""
        amount = checked_amount("BitFlip", self.rate, self.count)
        return amount.expected(sum(space.bits for space in spaces))

    def draw(self, spaces: Sequence[BitSpace], draw: Draw) -> list[Hits]:
        """See :class:`Mechanism`."""
        amount = checked_amount("BitFlip", self.rate, self.count)
        places = [Places(space.name, space.bits) for space in spaces]
        return bit_hits(*draw_places(places, amount, draw), [space.width for space in spaces])

    def corrupt(self, words: Words) -> Codes:
        """Exclusive or."""
        return words.codes ^ words.mask
