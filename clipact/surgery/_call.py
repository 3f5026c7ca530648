"""What is known of one activation call."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import torch
from torch import nn

from clipact.surgery._names import Source

__all__ = ["TENSOR", "Call", "Called"]


@final
class _TensorMark:
    """Stands for a tensor in the recorded arguments of a container."""

    def __repr__(self) -> str:
        return "a tensor"


TENSOR = _TensorMark()


@final
@dataclass(eq=False)
class Call:
    """A place in a model where an activation is called.

    Attributes:
        name: The site's name.
        caller: Path of the container that makes the call.
        source: What is called.
        kind: The module class of the activation.
        activation: The module, or one that does what the function does; ``nn.Identity()`` for a layer's output.
        is_output: The site is the output of a layer, all of whose calls are one site.
        in_place: The call overwrites its input.
        device: Where the output is.
        shapes: Shape of the output, one an execution.
    """

    name: str
    caller: str
    source: Source
    kind: type[nn.Module]
    activation: nn.Module
    is_output: bool
    in_place: bool
    device: torch.device
    shapes: list[torch.Size] = field(default_factory=list[torch.Size])


@final
@dataclass
class Called:
    """What is known of a call before it has a name."""

    source: Source
    kind: type[nn.Module]
    activation: Callable[[], nn.Module]
    is_output: bool
    in_place: bool

    def at(self, name: str, caller: str, device: torch.device) -> Call:
        return Call(
            name,
            caller,
            self.source,
            self.kind,
            self.activation(),
            self.is_output,
            self.in_place,
            device,
        )
