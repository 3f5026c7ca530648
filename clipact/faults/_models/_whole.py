"""Draws of whole words."""

from collections.abc import Sequence

import numpy as np

from clipact.errors import FaultError
from clipact.faults._drawing import Amount, Places
from clipact.faults._hits import BitSpace, Hits, Numbers
from clipact.faults._memory._words import Words
from clipact.faults._models._lines import Extent, draw_words, lines_of
from clipact.faults._streams import Draw


def draw_whole(
    spaces: Sequence[BitSpace], words: "int | Extent", amount: Amount, draw: Draw
) -> list[Hits]:
    """The hits in each tensor, all bits of the words drawn.

    Raises:
        FaultError: There are too few words or lines.
    """
    found = zip(spaces, draw_words(spaces, words, amount, draw), strict=True)
    return [
        Hits(index, np.full(index.size, 2**space.width - 1, np.uint64)) for space, index in found
    ]


def expected_words(spaces: Sequence[BitSpace], words: "int | Extent", amount: Amount) -> float:
    """Expected number of words; one that is on two lines counts twice."""
    lines = [lines_of(space.shape, words) for space in spaces]
    places = [Places(space.name, each.number) for space, each in zip(spaces, lines, strict=True)]
    total = sum(each.number for each in lines)
    covered = sum(each.number * each.length for each in lines)
    return amount.expected(places) * covered / total if total else 0.0


def payload_of(words: Words) -> Numbers:
    """What was drawn for each word.

    Raises:
        FaultError: The hits have no payload.
    """
    if words.payload is None:
        raise FaultError("these hits have no payload, so they were not drawn by this fault model")
    return words.payload
