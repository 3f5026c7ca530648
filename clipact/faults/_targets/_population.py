"""How many bits a target has."""

from collections.abc import Iterable

from clipact.faults._formats import Format
from clipact.faults._hits import BitSpace
from clipact.faults._memory._tensors import TargetTensor, unwrapped


def bit_spaces(tensors: Iterable[TargetTensor], format: Format) -> list[BitSpace]:  # noqa: A002 - the public keyword
    """The bits of each tensor in a number format, under the name it has without wrappers."""
    return [
        BitSpace(unwrapped(t.name), tuple(t.tensor.shape), format.width(t.tensor.dtype))
        for t in tensors
    ]
