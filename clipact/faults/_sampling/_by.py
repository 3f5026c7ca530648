"""What the bits of one stratum have in common."""

from collections.abc import Callable, Hashable
from typing import TypeAlias

By: TypeAlias = Callable[[str, int], Hashable]
"""Says of a bit, by its tensor's name and its position, in which stratum it is."""


def by_bit(tensor: str, bit: int) -> Hashable:
    """A stratum for each bit position.

    Examples:
        >>> by_bit("conv.weight", 30)
        30
    """
    del tensor
    return bit


def by_tensor(tensor: str, bit: int) -> Hashable:
    """A stratum for each tensor.

    Examples:
        >>> by_tensor("conv.weight", 30)
        'conv.weight'
    """
    del bit
    return tensor


def by_tensor_and_bit(tensor: str, bit: int) -> Hashable:
    """A stratum for each bit position of each tensor.

    Examples:
        >>> by_tensor_and_bit("conv.weight", 30)
        (30, 'conv.weight')
    """
    return bit, tensor
