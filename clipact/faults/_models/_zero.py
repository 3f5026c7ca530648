"""Words that become zero."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from clipact.faults._drawing import Amount
from clipact.faults._hits import BitSpace, Codes, Hits
from clipact.faults._memory._words import Words
from clipact.faults._models._amount import as_code, check_amount
from clipact.faults._models._lines import Extent, check_words
from clipact.faults._models._model import Mechanism
from clipact.faults._models._whole import draw_whole, expected_words
from clipact.faults._streams import Draw


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class Zero(Mechanism):
    """Whole words become 0: a value that was lost, or dropped on purpose once an error was detected.

    Args:
        rate: Probability per word, or per line of ``words``, 0 to 1.
        count: Number of words or lines, at least 0.
        words: Adjacent words that are lost together, or an :class:`Extent`.

    Raises:
        FaultError: Neither rate nor count is given, or both, or something is out of range. When drawn: the target
            has too few words or lines.

    Examples:
        >>> Zero(rate=1e-4)
        Zero(rate=0.0001)
    """

    rate: float | None = None
    count: int | None = None
    words: int | Extent = 1

    def __post_init__(self) -> None:
        check_amount(self, self.rate, self.count, per="word or line")
        check_words(self, self.words)

    def __repr__(self) -> str:
        return as_code(self)

    @property
    def kind(self) -> str:
        """``"zero"``."""
        return "zero"

    @property
    def whole_words(self) -> bool:
        """True."""
        return True

    def expected(self, spaces: Sequence[BitSpace]) -> float:
        """Expected number of words."""
        return expected_words(spaces, self.words, Amount(self.rate, self.count))

    def draw(self, spaces: Sequence[BitSpace], draw: Draw) -> list[Hits]:
        """See :class:`Mechanism`."""
        return draw_whole(spaces, self.words, Amount(self.rate, self.count), draw)

    def corrupt(self, words: Words) -> Codes:
        """The bits of 0."""
        return words.encode(np.zeros(words.codes.size))
