"""Words with noise added."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from math import inf
from typing import final

import numpy as np

from clipact.errors import FaultError
from clipact.faults._drawing import Amount, draw_normal
from clipact.faults._hits import BitSpace, Codes, Hits
from clipact.faults._memory._words import Words
from clipact.faults._models._amount import as_code, check_amount, checked_number
from clipact.faults._models._lines import Extent, check_words
from clipact.faults._models._model import Mechanism
from clipact.faults._models._whole import draw_whole, expected_words, payload_of
from clipact.faults._streams import Draw


@final
@dataclass(frozen=True, repr=False)
class Noise(Mechanism):
    r"""Gaussian noise is added to whole words: analog memories, drift, voltage that is too low.

    A word :math:`w` becomes :math:`w + \mathrm{std} \cdot z`, or with ``relative`` :math:`w + \mathrm{std} \cdot s z`,
    with :math:`z \sim N(0, 1)` its own and :math:`s` the standard deviation of the tensor's finite fault-free values. The sum is
    formed in float64 and rounded to the dtype; integers saturate, ±inf and NaN stay. With ``rate=1.0`` every word is
    noisy.

    Args:
        std: Standard deviation, at least 0, in units of the values or of ``s``.
        relative: In units of the tensor's own standard deviation.
        rate: Probability per word, or per line of ``words``, 0 to 1.
        count: Number of words or lines, at least 0.
        words: Adjacent words that are hit together, or an :class:`Extent`.

    Raises:
        FaultError: The standard deviation is negative or not finite; neither rate nor count is given, or both, or something is
            out of range. When drawn: the target has too few words or lines.

    Examples:
        >>> Noise(0.1, relative=True, rate=1.0)
        Noise(0.1, relative=True, rate=1.0)
    """

    std: float
    _: KW_ONLY
    relative: bool = False
    rate: float | None = None
    count: int | None = None
    words: int | Extent = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "std", checked_number("Noise", "std", self.std))
        if not 0.0 <= self.std < inf:
            raise FaultError(f"Noise({self.std}): a standard deviation is finite and at least 0")
        check_amount(self, self.rate, self.count, per="word or line")
        check_words(self, self.words)

    def __repr__(self) -> str:
        return as_code(self)

    @property
    def kind(self) -> str:
        """``"noise"``."""
        return "noise"

    @property
    def whole_words(self) -> bool:
        """True."""
        return True

    def expected(self, spaces: Sequence[BitSpace]) -> float:
        """Expected number of words."""
        return expected_words(spaces, self.words, Amount(self.rate, self.count))

    def draw(self, spaces: Sequence[BitSpace], draw: Draw) -> list[Hits]:
        """See :class:`Mechanism`; the payload is standard normal."""
        hits = draw_whole(spaces, self.words, Amount(self.rate, self.count), draw)
        return [
            one._replace(payload=draw_normal(space.name, one.index.size, draw))
            for space, one in zip(spaces, hits, strict=True)
        ]

    def corrupt(self, words: Words) -> Codes:
        """The bits of the sum; a word that is not finite keeps its own."""
        values = words.values()
        unit = words.spread() if self.relative else 1.0
        noisy = words.encode(values + self.std * unit * payload_of(words))
        return np.where(np.isfinite(values), noisy, words.codes)
