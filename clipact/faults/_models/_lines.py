"""Lines of words that a fault hits together: adjacent ones, a row, a column, a channel."""

from collections.abc import Sequence
from enum import Enum
from math import prod
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np

from clipact.errors import FaultError
from clipact.faults._drawing import Amount, Drawn, Places, draw_places
from clipact.faults._hits import BitSpace, Indices
from clipact.faults._streams import Draw, is_integer

if TYPE_CHECKING:
    from clipact.faults._models._model import Mechanism


@final
class Extent(Enum):
    """A line of words in a tensor, or in one sample of an activation.

    Attributes:
        ROW: Words that differ in the last index only: a row of a matrix or of a feature map.
        COLUMN: Words that differ in the last index but one only; a single word where there is no such index.
        CHANNEL: Words with the same first index: all weights of an output channel, a whole feature map; a single word
            where there is but one index.
    """

    ROW = "row"
    COLUMN = "column"
    CHANNEL = "channel"


class Lines(NamedTuple):
    """All lines of one kind in a tensor.

    Attributes:
        shape: The indices that tell one line from another.
        strides: What one more in each of these adds to the flat index.
        axes: Sizes and strides of the indices within a line.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    axes: tuple[tuple[int, int], ...]

    @property
    def number(self) -> int:
        """How many lines there are."""
        return prod(self.shape)

    @property
    def length(self) -> int:
        """Words of a line."""
        return prod(size for size, _ in self.axes)

    def words(self, line: Indices) -> Indices:
        """Flat indices of the words of some lines, shape ``(lines, length)``."""
        start = np.zeros(line.size, dtype=np.int64)
        if self.shape:
            for at, stride in zip(np.unravel_index(line, self.shape), self.strides, strict=True):
                start += at * stride
        offsets = np.zeros(1, dtype=np.int64)
        for size, stride in self.axes:
            offsets = (offsets[:, None] + np.arange(size) * stride).reshape(-1)
        return start[:, None] + offsets


def lines_of(shape: Sequence[int], words: "int | Extent") -> Lines:
    """The lines of a tensor of this shape: of so many adjacent words, or of an extent."""
    if not isinstance(words, Extent):
        return Lines((max(prod(shape) - words + 1, 0),), (1,), ((words, 1),))
    sizes = list(enumerate(shape))
    along = {
        Extent.ROW: {len(shape) - 1},
        Extent.COLUMN: {len(shape) - 2},
        Extent.CHANNEL: set(range(1, len(shape))),
    }[words]
    strides = [prod(shape[axis + 1 :]) for axis, _ in sizes]
    return Lines(
        tuple(size for axis, size in sizes if axis not in along),
        tuple(strides[axis] for axis, _ in sizes if axis not in along),
        tuple((size, strides[axis]) for axis, size in sizes if axis in along),
    )


def check_words(model: "Mechanism", words: object) -> None:
    """Check the field ``words`` of a new fault model.

    Raises:
        FaultError: It is neither a positive integer nor an :class:`Extent`.
    """
    if isinstance(words, Extent):
        return
    if not is_integer(words) or words < 1:
        raise FaultError(
            f"{type(model).__name__}(words={words!r}): give the number of adjacent words, or faults.Extent.ROW, COLUMN or CHANNEL"
        )
    object.__setattr__(model, "words", int(words))


def what_lines(words: "int | Extent") -> str:
    """What such lines are called, in the plural."""
    if isinstance(words, Extent):
        return f"{words.value}s"
    return "words" if words == 1 else f"runs of {words} words"


def draw_words(
    spaces: Sequence[BitSpace], words: "int | Extent", amount: Amount, draw: Draw
) -> list[Indices]:
    """Flat indices of the words that are hit in each tensor, rising, each once; lines are drawn.

    Raises:
        FaultError: There are too few lines.
    """
    lines = [lines_of(space.shape, words) for space in spaces]
    places = [Places(space.name, each.number) for space, each in zip(spaces, lines, strict=True)]
    drawn = draw_places(places, amount, draw, what=what_lines(words))
    if words == 1:
        return split(drawn)
    found = zip(lines, split(drawn), strict=True)
    return [np.unique(each.words(line)) if line.size else line for each, line in found]


def split(drawn: Drawn) -> list[Indices]:
    """The places of each tensor."""
    return np.split(drawn.place, np.cumsum(drawn.sizes)[:-1])
