"""Targets: which tensors of a model faults may fall on. Combine them with ``|``."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from clipact.errors import FaultError
from clipact.faults._drawing import BitSpace
from clipact.faults._formats import NATIVE, Format
from clipact.faults._region import Region
from clipact.faults._storage import check_addressable
from clipact.surgery import thresholds
from clipact.where import Where, select

_PARAMETRISED = re.compile(r"(?:^|.*\.)parametrizations\.(\w+)\.original\d*")


@dataclass(frozen=True, eq=False)
class TargetTensor:
    """A tensor that faults may fall on; ``where`` sees it by its name and kind.

    Attributes:
        name: Dotted name in the model.
        kind: Type of the module that owns it (for a parametrised weight, of the module that has the weight).
        tensor: The parameter or buffer itself.
    """

    name: str
    kind: type
    tensor: Tensor


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
        found = [t for t in _parameters(model) if not _is_bias(t.name) and id(t.tensor) not in skip]
        return _choose(self.where, found, "weights")

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
        found = [t for t in _parameters(model) if _is_bias(t.name) and id(t.tensor) not in skip]
        return _choose(self.where, found, "biases")

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
        found = [t for t in _parameters(model) if id(t.tensor) in order]
        found.sort(key=lambda t: order[id(t.tensor)])
        return _choose(self.where, found, "thresholds")

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
        named = model.named_buffers(remove_duplicate=False)
        return _choose(self.where, _locate(model, named), "buffers")

    def __str__(self) -> str:
        return _show(self, self.where)


@final
@dataclass(frozen=True)
class _Union(Target):
    parts: tuple[Target, ...]

    def tensors(self, model: nn.Module) -> list[TargetTensor]:
        return _distinct([tensor for part in self.parts for tensor in part.tensors(model)])

    def __str__(self) -> str:
        return " | ".join(str(part) for part in self.parts)


def bit_spaces(tensors: Iterable[TargetTensor], format: Format) -> list[BitSpace]:  # noqa: A002 - the public keyword
    """The bits of each tensor in a number format."""
    return [BitSpace(t.name, t.tensor.numel(), format.width(t.tensor.dtype)) for t in tensors]


def population(model: nn.Module, target: Target, *, format: Format = NATIVE) -> int:  # noqa: A002 - as in inject
    """Number of bits that faults may fall on, as :func:`sample_size` wants it.

    Examples:
        >>> population(nn.Linear(3, 2), Weights())
        192
    """
    return sum(space.bits for space in bit_spaces(target.tensors(model), format))


def _parameters(model: nn.Module) -> list[TargetTensor]:
    return _locate(model, model.named_parameters(remove_duplicate=False))


def _locate(model: nn.Module, named: Iterable[tuple[str, Tensor]]) -> list[TargetTensor]:
    return [TargetTensor(name, _owner(model, name), tensor) for name, tensor in named]


def _owner(model: nn.Module, name: str) -> type:
    path = name.rpartition(".")[0]
    if _PARAMETRISED.fullmatch(name):
        path = path.rpartition("parametrizations.")[0].rstrip(".")
    return type(model.get_submodule(path))


def _is_bias(name: str) -> bool:
    parametrised = _PARAMETRISED.fullmatch(name)
    leaf = parametrised[1] if parametrised else name.rpartition(".")[2]
    return "bias" in leaf.split("_")


def _choose(where: Where | None, found: Sequence[TargetTensor], what: str) -> list[TargetTensor]:
    first: dict[int, TargetTensor] = {}
    for tensor in found:
        first.setdefault(id(tensor.tensor), tensor)
    return _distinct([first[id(t.tensor)] for t in select(where, found, what=what)])


def _distinct(tensors: Iterable[TargetTensor]) -> list[TargetTensor]:
    """Each region of memory once, under the first name met; empty tensors left out."""
    kept: dict[Region, TargetTensor] = {}
    for candidate in tensors:
        check_addressable(candidate.name, candidate.tensor)
        if candidate.tensor.numel() == 0:
            continue
        region = Region.of(candidate.tensor)
        if region in kept:
            continue
        for other, holder in kept.items():
            if region.overlaps(other):
                raise FaultError(
                    f"{holder.name} and {candidate.name} share some words of memory but not all, so a bit would be"
                    " counted twice; leave one of them out with where="
                )
        kept[region] = candidate
    if not kept:
        raise FaultError("the target's tensors have no elements, so there is no bit to hit")
    return list(kept.values())


def _show(target: Target, where: Where | None) -> str:
    return f"{type(target).__name__}({'' if where is None else f'where={where}'})"
