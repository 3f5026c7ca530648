"""Fault models with exactly one fault in a trial, and the faults they choose from."""

from collections.abc import Sequence

import numpy as np

from clipact.errors import FaultError
from clipact.faults._hits import NO_HITS, BitSpace, Hits
from clipact.faults._models import BitFlip, FaultModel, StuckAt


def bits_of_single_fault(
    fault: FaultModel, spaces: Sequence[BitSpace], sampling: object
) -> list[Sequence[int]]:
    """Of each tensor, the positions in a word at which the one fault of a trial may be.

    Args:
        fault: The fault model.
        spaces: The bits of each tensor.
        sampling: What asks, for the error message.

    Raises:
        FaultError: A trial has not exactly one fault, that fault is not one of a bit, or there is no bit to hit.
    """
    if not isinstance(fault, BitFlip | StuckAt) or fault.count != 1:
        raise FaultError(
            f"{sampling} sampling chooses the one bit that a trial hits, which {fault} does not say; give BitFlip(count=1) or"
            " StuckAt(value, count=1), or sampling=Uniform()"
        )
    if fault.expected(spaces) and not any(space.bits for space in spaces):  # refuses wrong bits
        raise FaultError(f"{sampling} sampling: the target has no bit that can be hit")
    return [range(space.width) if fault.bits is None else fault.bits for space in spaces]


def single_hit(spaces: int, space: int, word: int, bit: int) -> list[Hits]:
    """The hits in each of so many tensors, if one bit of one word of one of them is hit."""
    hits = [NO_HITS] * spaces
    hits[space] = Hits(np.array([word]), np.array([1 << bit], dtype=np.uint64))
    return hits
