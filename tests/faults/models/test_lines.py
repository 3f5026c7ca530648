import numpy as np
import pytest

from clipact.errors import FaultError
from clipact.faults._models import Burst, Extent, Zero
from clipact.faults._models._lines import lines_of

SHAPES = [(), (7,), (4, 3), (4, 3, 2, 5)]


def by_hand(shape, extent):
    """Lines as sets of flat indices, from the definition."""
    index = np.arange(int(np.prod(shape))).reshape(shape)
    if not shape or (extent is Extent.COLUMN and len(shape) < 2):
        return [[int(i)] for i in index.reshape(-1)]
    if extent is Extent.CHANNEL:
        return [index[c].reshape(-1).tolist() for c in range(shape[0])]
    axis = -1 if extent is Extent.ROW else -2
    return np.moveaxis(index, axis, -1).reshape(-1, shape[axis]).tolist()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("extent", Extent)
def test_extents(shape, extent):
    lines = lines_of(shape, extent)
    expected = by_hand(shape, extent)
    assert (lines.number, lines.length) == (len(expected), len(expected[0]))
    assert lines.words(np.arange(lines.number)).tolist() == expected


@pytest.mark.parametrize("words", [1, 3, 7])
def test_adjacent_words(words):
    lines = lines_of((7,), words)
    assert lines.number == 8 - words
    assert lines.words(np.arange(lines.number)).tolist() == [
        list(range(start, start + words)) for start in range(8 - words)
    ]


def test_too_long_for_the_tensor():
    assert lines_of((2, 3), 7).number == 0


@pytest.mark.parametrize("words", [0, -1, 1.5, True, "row", Extent])
def test_refuses(words):
    for model in (Burst, Zero):
        with pytest.raises(
            FaultError, match=r"give the number of adjacent words, or faults\.Extent"
        ):
            model(words=words, count=1)
