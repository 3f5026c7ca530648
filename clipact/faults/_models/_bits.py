"""Draws of single bits, of all positions in a word or of chosen ones."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clipact.errors import FaultError
from clipact.faults._drawing import Amount, Places, draw_places
from clipact.faults._hits import BitSpace, Hits, bit_hits
from clipact.faults._streams import Draw, is_integer

if TYPE_CHECKING:
    from clipact.faults._models._model import Mechanism


def check_positions(model: "Mechanism", bits: Any) -> None:
    """Check the field ``bits`` of a new fault model, and keep a rising tuple in it.

    Raises:
        FaultError: It is not a sequence of bit positions, each once.
    """
    if bits is None:
        return
    who = f"{type(model).__name__}(bits={bits!r})"
    try:
        positions = sorted(int(bit) for bit in bits if is_integer(bit) and bit >= 0)
        given = len(bits)
    except TypeError:
        raise FaultError(f"{who}: give positions, as bits=[30] or bits=range(23, 31)") from None
    if not given or len(positions) < given or len(set(positions)) < given:
        raise FaultError(
            f"{who}: give at least one position, each once, as integers from 0, the least significant"
        )
    object.__setattr__(model, "bits", tuple(positions))


def places_of_bits(
    model: "Mechanism", spaces: Sequence[BitSpace], bits: Sequence[int] | None
) -> list[Places]:
    """Of each tensor, the bits that may be hit: those of all words, or those at some positions.

    Raises:
        FaultError: A word has no bit at one of the positions.
    """
    if bits is None:
        return [Places(space.name, space.bits) for space in spaces]
    for space in spaces:
        if bits[-1] >= space.width:
            raise FaultError(
                f"{model} asks for bit {bits[-1]}, but a word of {space.name} has the bits 0 to {space.width - 1}; choose among"
                " these, or leave that tensor out with where="
            )
    return [Places(space.name, space.words * len(bits)) for space in spaces]


def draw_bits(
    model: "Mechanism",
    spaces: Sequence[BitSpace],
    bits: Sequence[int] | None,
    amount: Amount,
    draw: Draw,
) -> list[Hits]:
    """The hits in each tensor.

    Raises:
        FaultError: There are too few bits, or none at one of the positions.
    """
    drawn = draw_places(places_of_bits(model, spaces, bits), amount, draw)
    if bits is None:
        return bit_hits(*drawn, [space.width for space in spaces])
    return bit_hits(*drawn, [len(bits)] * len(spaces), np.array(bits, dtype=np.int64))
