"""Words that take a random value."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from math import isfinite
from typing import final

from clipact.errors import FaultError
from clipact.faults._drawing import Amount, draw_uniform
from clipact.faults._hits import BitSpace, Codes, Hits
from clipact.faults._memory._words import Words
from clipact.faults._models._amount import as_code, check_amount, checked_number
from clipact.faults._models._lines import Extent, check_words
from clipact.faults._models._model import Mechanism
from clipact.faults._models._whole import draw_whole, expected_words, payload_of
from clipact.faults._streams import Draw


@final
@dataclass(frozen=True, repr=False)
class RandomValue(Mechanism):
    """Whole words take a value that is uniform between two bounds, each its own.

    The value is rounded to the dtype; integers saturate. It does not depend on what was there.

    Args:
        low: Lower bound.
        high: Upper bound, at least ``low``.
        rate: Probability per word, or per line of ``words``, 0 to 1.
        count: Number of words or lines, at least 0.
        words: Adjacent words that are hit together, or an :class:`Extent`.

    Raises:
        FaultError: The bounds are not finite or in the wrong order; neither rate nor count is given, or both, or
            something is out of range. When drawn: the target has too few words or lines.

    Examples:
        >>> RandomValue(-1.0, 1.0, count=3)
        RandomValue(-1.0, 1.0, count=3)
    """

    low: float
    high: float
    _: KW_ONLY
    rate: float | None = None
    count: int | None = None
    words: int | Extent = 1

    def __post_init__(self) -> None:
        for what, value in (("low", self.low), ("high", self.high)):
            object.__setattr__(self, what, checked_number("RandomValue", what, value))
        if not (isfinite(self.high - self.low) and self.low <= self.high):
            raise FaultError(
                f"RandomValue({self.low}, {self.high}): give finite bounds, the lower one first"
            )
        check_amount(self, self.rate, self.count, per="word or line")
        check_words(self, self.words)

    def __repr__(self) -> str:
        return as_code(self)

    @property
    def kind(self) -> str:
        """``"random"``."""
        return "random"

    @property
    def whole_words(self) -> bool:
        """True."""
        return True

    def expected(self, spaces: Sequence[BitSpace]) -> float:
        """Expected number of words."""
        return expected_words(spaces, self.words, Amount(self.rate, self.count))

    def draw(self, spaces: Sequence[BitSpace], draw: Draw) -> list[Hits]:
        """See :class:`Mechanism`; the payload is the value."""
        hits = draw_whole(spaces, self.words, Amount(self.rate, self.count), draw)
        return [
            one._replace(
                payload=self.low
                + (self.high - self.low) * draw_uniform(space.name, one.index.size, draw)
            )
            for space, one in zip(spaces, hits, strict=True)
        ]

    def corrupt(self, words: Words) -> Codes:
        """The bits of the values drawn."""
        return words.encode(payload_of(words))
