"""Targets: which tensors of a model faults may fall on. Combine them with ``|``."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from torch import nn

from clipact.errors import FaultError
from clipact.faults._formats import NATIVE, Format
from clipact.faults._hits import BitSpace
from clipact.faults._tensors import (
    TargetTensor,
    choose,
    distinct,
    is_bias,
    unwrapped,
)
from clipact.surgery import thresholds
from clipact.where import Where


class Target(ABC):
    """Says which tensors; ``a | b`` is both."""

    @abstractmethod
    def tensors(self, model: nn.Module) -> list[TargetTensor]:
        """The tensors, in the model's order, each word in memory once.

        Raises:
            SelectionError: There is none, or ``where`` picks none.
            FaultError: A tensor has no words that can be changed in place, or two overlap in part.
        """

    def __or__(self, other: "Target") -> "Target":
        if not isinstance(other, Target):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may not check types
            found = f"the class {other.__name__}" if isinstance(other, type) else repr(other)
            raise FaultError(f"{self} | {found}: combine targets, as Weights() | Biases()")
        return _Union((self, other))


@final
@dataclass(frozen=True)
class Weights(Target):
    """All parameters that are neither a bias nor a threshold; scales of norms included.

    A parametrised weight (weight norm, spectral norm, …) is what is stored: its originals. Tied weights are one.

    Args:
        where: Narrows by the parameter's dotted name and the type of the module that owns it.
    """

    where: Where | None = None

    def tensors(self, model: nn.Module) -> list[TargetTensor]:
        """See :class:`Target`."""
        skip = {id(p) for p in thresholds(model).values()}
        named = model.named_parameters(remove_duplicate=False)
        found = [(name, p) for name, p in named if id(p) not in skip and not is_bias(name)]
        return choose(model, self.where, found, "weights")

    def __str__(self) -> str:
        return _show(self, self.where)


@final
@dataclass(frozen=True)
class Biases(Target):
    """All parameters called bias: ``bias``, ``bias_ih_l0``, ``in_proj_bias``, the original of a parametrised bias.

    Args:
        where: Narrows by the parameter's dotted name and the type of the module that owns it.
    """

    where: Where | None = None

    def tensors(self, model: nn.Module) -> list[TargetTensor]:
        """See :class:`Target`."""
        skip = {id(p) for p in thresholds(model).values()}
        named = model.named_parameters(remove_duplicate=False)
        found = [(name, p) for name, p in named if id(p) not in skip and is_bias(name)]
        return choose(model, self.where, found, "biases")

    def __str__(self) -> str:
        return _show(self, self.where)


@final
@dataclass(frozen=True)
class Thresholds(Target):
    """The thresholds of the model's activations, as :func:`clipact.surgery.thresholds` lists them.

    Args:
        where: Narrows by the threshold's dotted name and the type of the activation that owns it.
    """

    where: Where | None = None

    def tensors(self, model: nn.Module) -> list[TargetTensor]:
        """See :class:`Target`, but in the order of execution."""
        order = {id(p): place for place, p in enumerate(thresholds(model).values())}
        named = model.named_parameters(remove_duplicate=False)
        found = [(name, p) for name, p in named if id(p) in order]
        found.sort(key=lambda held: order[id(held[1])])
        return choose(model, self.where, found, "thresholds")

    def __str__(self) -> str:
        return _show(self, self.where)


@final
@dataclass(frozen=True)
class Buffers(Target):
    """All buffers, such as the running statistics of batch norms (and their counters, which are integers).

    Args:
        where: Narrows by the buffer's dotted name and the type of the module that owns it.
    """

    where: Where | None = None

    def tensors(self, model: nn.Module) -> list[TargetTensor]:
        """See :class:`Target`."""
        found = list(model.named_buffers(remove_duplicate=False))
        return choose(model, self.where, found, "buffers")

    def __str__(self) -> str:
        return _show(self, self.where)


@final
@dataclass(frozen=True)
class _Union(Target):
    parts: tuple[Target, ...]

    def tensors(self, model: nn.Module) -> list[TargetTensor]:
        every = [item for part in self.parts for item in part.tensors(model)]
        return distinct((item.name, item.tensor) for item in every)

    def __str__(self) -> str:
        return " | ".join(str(part) for part in self.parts)


def bit_spaces(tensors: Iterable[TargetTensor], format: Format) -> list[BitSpace]:  # noqa: A002 - the public keyword
    """The bits of each tensor in a number format, under the name it has without wrappers."""
    return [
        BitSpace(unwrapped(t.name), tuple(t.tensor.shape), format.width(t.tensor.dtype))
        for t in tensors
    ]


def population(model: nn.Module, target: Target, *, format: Format = NATIVE) -> int:  # noqa: A002 - as in inject
    """Number of bits that faults may fall on, as :func:`sample_size` wants it.

    Examples:
        >>> population(nn.Linear(3, 2), Weights())
        192
    """
    return sum(space.bits for space in bit_spaces(target.tensors(model), format))


def _show(target: Target, where: Where | None) -> str:
    return f"{type(target).__name__}({'' if where is None else f'where={where}'})"
