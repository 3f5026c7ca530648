"""Functional calls of activations, and the modules that do the same."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["FUNCTIONS", "Function"]


@final
@dataclass(frozen=True)
class Function:
    """An activation that is called as a function or as a method of a tensor.

    Attributes:
        kind: The module class that does the same.
        name: Name of the function, without a trailing underscore.
        parameters: What its arguments are called, in order, after the input.
        in_place: Whether this form always overwrites its input (``relu_``).
    """

    kind: type[nn.Module]
    name: str
    parameters: tuple[str, ...]
    in_place: bool = False

    def overwrites(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Whether a call with these arguments (input included) changes its input."""
        return self.in_place or bool(self._values(args, kwargs).get("inplace", False))

    def as_module(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> nn.Module:
        """The module that does what a call with these arguments does, never in place."""
        values = self._values(args, kwargs)
        if issubclass(self.kind, nn.PReLU):
            return _prelu(values["weight"])
        if issubclass(self.kind, nn.RReLU) and not values.get("training", False):
            return nn.LeakyReLU((values.get("lower", 1 / 8) + values.get("upper", 1 / 3)) / 2)
        taken = {name: value for name, value in values.items() if name in _CONSTRUCTOR}
        return self.kind(**taken)

    def _values(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        positional = args if "input" in kwargs else args[1:]
        values = dict(zip(self.parameters, positional, strict=False))
        return values | {name: value for name, value in kwargs.items() if name != "input"}


_CONSTRUCTOR: Final = frozenset(
    {"negative_slope", "lower", "upper", "alpha", "approximate", "beta", "threshold", "value"}
    | {"min_val", "max_val", "dim", "lambd"}
)

_TABLE: Final[tuple[tuple[type[nn.Module], str, tuple[str, ...]], ...]] = (
    (nn.ReLU, "relu", ("inplace",)),
    (nn.ReLU6, "relu6", ("inplace",)),
    (nn.LeakyReLU, "leaky_relu", ("negative_slope", "inplace")),
    (nn.PReLU, "prelu", ("weight",)),
    (nn.RReLU, "rrelu", ("lower", "upper", "training", "inplace")),
    (nn.ELU, "elu", ("alpha", "inplace")),
    (nn.CELU, "celu", ("alpha", "inplace")),
    (nn.SELU, "selu", ("inplace",)),
    (nn.GELU, "gelu", ()),
    (nn.SiLU, "silu", ("inplace",)),
    (nn.Mish, "mish", ("inplace",)),
    (nn.Hardswish, "hardswish", ("inplace",)),
    (nn.Softplus, "softplus", ("beta", "threshold")),
    (nn.Hardtanh, "hardtanh", ("min_val", "max_val", "inplace")),
    (nn.Sigmoid, "sigmoid", ()),
    (nn.Tanh, "tanh", ()),
    (nn.Softmax, "softmax", ("dim",)),
    (nn.Softmin, "softmin", ("dim",)),
    (nn.LogSoftmax, "log_softmax", ("dim",)),
    (nn.LogSigmoid, "logsigmoid", ()),
    (nn.Hardsigmoid, "hardsigmoid", ("inplace",)),
    (nn.Hardshrink, "hardshrink", ("lambd",)),
    (nn.Softshrink, "softshrink", ("lambd",)),
    (nn.Tanhshrink, "tanhshrink", ()),
    (nn.Softsign, "softsign", ()),
    (nn.Threshold, "threshold", ("threshold", "value", "inplace")),
)


def _prelu(weight: Tensor) -> nn.PReLU:
    module = nn.PReLU(weight.numel(), device=weight.device, dtype=weight.dtype)
    module.weight = weight if isinstance(weight, nn.Parameter) else nn.Parameter(weight.detach())
    return module


def _entries() -> Iterator[tuple[Callable[..., Any], Function]]:
    for kind, name, parameters in _TABLE:
        for namespace in (F, torch, Tensor):
            for spelling, in_place in ((name, False), (f"{name}_", True)):
                found = getattr(namespace, spelling, None)
                if found is not None:
                    yield found, Function(kind, name, parameters, in_place)


FUNCTIONS: Final[Mapping[Callable[..., Any], Function]] = MappingProxyType(dict(_entries()))
"""Every spelling (``F.relu``, ``torch.relu``, ``Tensor.relu_`` …) and what it stands for."""
