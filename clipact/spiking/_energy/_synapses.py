"""Count what the layers of a network compute, operation by operation."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from clipact.surgery import COUNTED, dense_operations, effective_operations

__all__ = ["Synapses", "counting"]

_MOST_LEVELS: Final = 64
"""Past this many equal steps a value is no number of spikes any more."""


@final
@dataclass(eq=False)
class Synapses:
    """What a layer computed in all its calls.

    Attributes:
        name: Of the layer.
        kind: Its class.
        calls: How often it ran.
        dense: Multiply-accumulates if no input were zero.
        macs: Multiply-accumulates of non-zero inputs, where inputs had more than two values.
        acs: Accumulates of non-zero inputs, where inputs were zero or one other value.
        inputs: Number of input values.
        nonzero: How many of them were not zero.
        input_bits: What these take in memory, one bit each where there were only two values.
        outputs: Number of output values.
        weights: Number of weights and biases.
    """

    name: str
    kind: type[nn.Module]
    weights: int
    calls: int = 0
    dense: int = 0
    macs: int = 0
    acs: int = 0
    inputs: int = 0
    nonzero: int = 0
    binary_inputs: int = 0
    outputs: int = 0


@contextmanager
def counting(model: nn.Module, *, unary: bool) -> Generator[dict[str, Synapses]]:
    """Count while the model runs inside.

    Args:
        model: The network.
        unary: Take inputs that are small whole multiples of one value for so many spikes.

    Yields:
        What was counted, by name, in execution order.
    """
    found: dict[str, Synapses] = {}
    with ExitStack() as stack:
        for name, layer in model.named_modules():
            if isinstance(layer, COUNTED):
                hook = _hook(found, name, unary=unary)
                handle = layer.register_forward_hook(hook, with_kwargs=True)
                stack.callback(handle.remove)
        yield found


def _hook(
    found: dict[str, Synapses], name: str, *, unary: bool
) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], None]:
    def count(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        x = (args[0] if args else kwargs["input"]).detach()
        weights = sum(parameter.numel() for parameter in layer.parameters(recurse=False))
        seen = found.setdefault(name, Synapses(name, type(layer), weights))
        spikes = _spikes(x, unary=unary)
        seen.calls += 1
        seen.dense += dense_operations(layer, x, output)
        seen.inputs += x.numel()
        seen.nonzero += int(torch.count_nonzero(x))
        seen.outputs += output.numel()
        if spikes is None:
            seen.macs += int(effective_operations(layer, x, output))
            return
        seen.binary_inputs += x.numel()
        for level in range(1, int(spikes.amax()) + 1 if spikes.numel() else 0):
            seen.acs += int(effective_operations(layer, (spikes >= level).to(x), output))

    return count


def _spikes(x: Tensor, *, unary: bool) -> Tensor | None:
    """Of each value, how many spikes it stands for; None if it is not spikes."""
    size = x.abs()
    positive = size[size != 0]
    if not positive.numel():
        return torch.zeros_like(x)
    if not bool(positive.isfinite().all()) or bool((x > 0).any()) == bool((x < 0).any()):
        return None  # of both signs: three values at least
    unit, most = positive.min(), positive.max()
    if unit == most:
        return (x != 0).to(torch.int64)
    if not unary or most > _MOST_LEVELS * unit:
        return None
    number = (size / unit).round()
    exact = torch.allclose(number * unit, size, rtol=1e-5, atol=0.0)
    return number.to(torch.int64) if exact else None
