"""Fault models: what happens to a bit that is hit, and how many are hit."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar, final

import numpy as np
import numpy.typing as npt

from clipact.errors import FaultError
from clipact.faults._drawing import Addresses, BitSpace, Draw, draw_by_count, draw_by_rate
from clipact.faults._streams import is_integer


class FaultModel(ABC):
    """Draws bits and says what a word becomes. Subclasses are frozen dataclasses; both methods are pure functions.

    Attributes:
        kind: What the faults are called in a record.
    """

    kind: ClassVar[str]

    @abstractmethod
    def expected(self, bits: int) -> float:
        """Expected number of faults in a target of so many bits."""

    @abstractmethod
    def draw(self, spaces: Sequence[BitSpace], draw: Draw) -> list[Addresses]:
        """The sorted distinct bit addresses that are hit, for each tensor.

        Raises:
            FaultError: The target has too few bits.
        """

    @abstractmethod
    def corrupt(
        self, codes: npt.NDArray[np.uint64], mask: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.uint64]:
        """The words' bit patterns after the fault; ``mask`` has a one at each bit that is hit."""


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class BitFlip(FaultModel):
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
        >>> BitFlip(count=1).expected(bits=320)
        1.0
    """

    kind: ClassVar[str] = "flip"
    rate: float | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        if (self.rate is None) == (self.count is None):
            raise FaultError(
                f"BitFlip got rate={self.rate} and count={self.count}; give exactly one of them"
            )
        if self.rate is not None:
            if isinstance(self.rate, bool) or not isinstance(self.rate, Real):
                raise FaultError(f"BitFlip(rate={self.rate!r}): give a number")
            object.__setattr__(self, "rate", float(self.rate))
            if not 0.0 <= self.rate <= 1.0:
                raise FaultError(f"BitFlip(rate={self.rate}): a probability per bit is from 0 to 1")
        if self.count is not None and (not is_integer(self.count) or self.count < 0):
            raise FaultError(f"BitFlip(count={self.count!r}): give an integer of at least 0")

    def __repr__(self) -> str:
        given = f"rate={self.rate!r}" if self.count is None else f"count={self.count}"
        return f"BitFlip({given})"

    def expected(self, bits: int) -> float:
        """``rate * bits``, or the count."""
        return (self.rate or 0.0) * bits if self.count is None else float(self.count)

    def draw(self, spaces: Sequence[BitSpace], draw: Draw) -> list[Addresses]:
        """See :class:`FaultModel`."""
        if self.count is not None:
            return draw_by_count(spaces, self.count, draw)
        return draw_by_rate(spaces, self.rate or 0.0, draw)

    def corrupt(
        self, codes: npt.NDArray[np.uint64], mask: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.uint64]:
        """Exclusive or."""
        return codes ^ mask
