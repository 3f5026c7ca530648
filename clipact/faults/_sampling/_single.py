"""Single bits: what exhaustive and stratified sampling choose among."""

from collections.abc import Sequence

import numpy as np

from clipact.errors import FaultError
from clipact.faults._hits import NO_HITS, BitSpace, Hits
from clipact.faults._models import BitFlip, FaultModel


def check_single(fault: FaultModel, sampling: object) -> None:
    """Refuse a fault model that is not one flipped bit of any position.

    Raises:
        FaultError: It is another.
    """
    if not isinstance(fault, BitFlip) or fault != BitFlip(count=1):
        raise FaultError(
            f"{sampling} chooses single bits, but the fault model is {fault}; give fault=BitFlip(count=1), or leave sampling"
            " out"
        )


def single_bit(spaces: Sequence[BitSpace], space: int, index: int, bit: int) -> list[list[Hits]]:
    """The hits of one bit."""
    hits = [NO_HITS] * len(spaces)
    mask = np.array([1], dtype=np.uint64) << np.uint64(bit)
    hits[space] = Hits(np.array([index], dtype=np.int64), mask)
    return [hits]
