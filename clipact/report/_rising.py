"""Whether a bit went from 0 to 1 or from 1 to 0, from the values before and after."""

import numpy as np
import torch

from clipact.errors import FaultError
from clipact.faults import Format, Native
from clipact.report._columns import Flags, Integers, Numbers

_BELOW_SIGN = np.int64(2**63 - 1)


def rising(
    tensor: Integers, bit: Integers, values: tuple[Numbers, Numbers], number_format: Format
) -> Integers:
    """1 where the bit rose, -1 where it fell, 0 where the values do not tell.

    A bit that is set moves a float away from zero, past all numbers to infinity and on to NaN, and makes a word of two's
    complement larger; a sign bit that is set makes either negative. Tensors whose values are all whole numbers are read as
    two's complement; where no value is negative both readings agree.

    Args:
        tensor: Of each fault, the place of its tensor.
        bit: Its position.
        values: Of its word, before and after; no other fault is in it.
        number_format: Of the campaign.
    """
    before, after = values
    if isinstance(number_format, Native):
        sign = np.signbit(before) != np.signbit(after)
        whole = _whole(tensor, before, after)
        up = np.where(whole, _larger(before, after), _farther(before, after))
        return np.where(sign, np.where(np.signbit(after), 1, -1), up)
    up = _larger(before, after)
    return np.where(bit == _sign(number_format), -up, up)


def _sign(number_format: Format) -> int:
    """Position of the sign bit; that of no bit if the format is known by its text only."""
    try:
        return number_format.width(torch.float32) - 1
    except FaultError:
        return -1


def _farther(before: Numbers, after: Numbers) -> Integers:
    """1 where the second is farther from zero, -1 where it is nearer: the bits below the sign in order as integers."""
    distance = [values.view(np.int64) & _BELOW_SIGN for values in (before, after)]
    return np.sign(distance[1] - distance[0])


def _larger(before: Numbers, after: Numbers) -> Integers:
    """1 where the second is larger, -1 where it is smaller; NaN counts as 0, as in fixed point."""
    old, new = np.nan_to_num(before), np.nan_to_num(after)
    return (new > old).astype(np.int64) - (new < old)


def _whole(tensor: Integers, before: Numbers, after: Numbers) -> Flags:
    """Of each fault, whether all values of its tensor are whole numbers."""
    with np.errstate(invalid="ignore"):  # inf has no remainder
        odd = (before % 1 != 0) | (after % 1 != 0)
    return np.bincount(tensor, weights=odd)[tensor] == 0
