"""Parameters by their role: weights, biases, thresholds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from clipact.faults._memory._held import Held
from clipact.faults._memory._packed import packed
from clipact.faults._memory._tensors import is_bias
from clipact.faults._targets._stored import StoredTarget
from clipact.surgery import thresholds


@final
@dataclass(frozen=True)
class Weights(StoredTarget):
    """All parameters that are neither a bias nor a threshold; scales of norms included.

    A parametrised weight (weight norm, spectral norm, …) is what is stored: its originals. Tied weights are one. A
    quantised weight is its integers; where it is a tensor subclass of several tensors (torchao), it is each of these, by the
    names ``weight.qdata``, ``weight.scale``.

    Args:
        where: Narrows by the parameter's dotted name and the type of the module that owns it.
    """

    what: ClassVar[str] = "weights"

    def held(self, model: nn.Module) -> Iterable[Held]:
        """See :class:`StoredTarget`."""
        skip = {id(p) for p in thresholds(model).values()}
        return (
            held
            for held in _parameters(model)
            if held.identity not in skip and not is_bias(held.name)
        )


@final
@dataclass(frozen=True)
class Biases(StoredTarget):
    """All parameters called bias: ``bias``, ``bias_ih_l0``, ``in_proj_bias``, the original of a parametrised bias.

    Args:
        where: Narrows by the parameter's dotted name and the type of the module that owns it.
    """

    what: ClassVar[str] = "biases"

    def held(self, model: nn.Module) -> Iterable[Held]:
        """See :class:`StoredTarget`."""
        skip = {id(p) for p in thresholds(model).values()}
        return (
            held for held in _parameters(model) if held.identity not in skip and is_bias(held.name)
        )


@final
@dataclass(frozen=True)
class Thresholds(StoredTarget):
    """The thresholds of the model's activations, as :func:`clipact.surgery.thresholds` lists them, in that order.

    Args:
        where: Narrows by the threshold's dotted name and the type of the activation that owns it.
    """

    what: ClassVar[str] = "thresholds"

    def held(self, model: nn.Module) -> Iterable[Held]:
        """See :class:`StoredTarget`."""
        order: dict[object, int] = {id(p): at for at, p in enumerate(thresholds(model).values())}
        found = [held for held in _parameters(model) if held.identity in order]
        return sorted(found, key=lambda held: order[held.identity])


def _parameters(model: nn.Module) -> Iterator[Held]:
    """Every parameter under every name it has, module by module, with what quantised modules hold packed."""
    modules = dict(model.named_modules(remove_duplicate=False))
    for path, module in modules.items():
        for name, parameter in module.named_parameters(path, recurse=False, remove_duplicate=False):
            yield Held.of(name, parameter)
        yield from packed(path, module, modules)
