"""How many bits a target has."""

from torch import nn

from clipact.faults._formats import NATIVE, Format
from clipact.faults._targets import Target, bit_spaces


def population(model: nn.Module, target: Target, *, format: Format = NATIVE) -> int:  # noqa: A002 - as in inject
    """Number of bits that faults may fall on, as :func:`sample_size` wants it.

    Examples:
        >>> from clipact.faults import Weights
        >>> population(nn.Linear(3, 2), Weights())
        192
    """
    return sum(space.bits for space in bit_spaces(target.tensors(model), format))
