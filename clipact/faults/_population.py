"""How many bits a target has."""

from torch import nn

from clipact.faults._formats import NATIVE, Format
from clipact.faults._targets import Target, bit_spaces
from clipact.faults._values import observe_example
from clipact.surgery import Example


def population(
    model: nn.Module,
    target: Target,
    *,
    format: Format = NATIVE,  # noqa: A002 - as in inject
    example: Example | None = None,
) -> int:
    """Number of bits that faults may fall on, as :func:`sample_size` wants it.

    Of activations and inputs it is the bits of one sample.

    Args:
        model: Any module.
        target: Where faults may fall.
        format: Number format of the bits.
        example: Inputs with which the model is run once, for targets that flow: one tensor, a tuple of positional
            arguments, or a mapping of keyword arguments.

    Raises:
        SelectionError: The target picks nothing.
        FaultError: The target has values that flow, and there is no example; or they cannot have faults.

    Examples:
        >>> import torch
        >>> from clipact.faults import Activations, Weights
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
        >>> population(model, Weights())
        192
        >>> population(model, Activations(), example=torch.ones(8, 3))
        64
    """
    bits = sum(space.bits for space in bit_spaces(target.tensors(model), format))
    flow = observe_example(model, target, example)
    return bits + sum(space.bits for space in flow.spaces(format))
