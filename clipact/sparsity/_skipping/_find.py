"""Which linear layers get inputs with many zeros."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final

import torch
from torch import Tensor, nn

from clipact.nn import (
    CST,
    CReLU,
    HoyerLeaky,
    HoyerSpike,
    HyReLU,
    KWinners,
    KWinners2d,
    RelativeHyReLU,
    SaturatedReLU,
    ShiftedReLU,
    SoftThreshold,
    StatisticalThreshold,
    ZeroedReLU,
)
from clipact.sparsity._skipping._sparse_linear import estimate_nonzeros
from clipact.surgery import Example, run_once, watch

__all__ = ["SPARSIFIERS", "by_example", "by_structure", "plain_layers"]

SPARSIFIERS: Final[tuple[type[nn.Module], ...]] = (
    nn.ReLU,
    nn.ReLU6,
    nn.Threshold,
    nn.Hardshrink,
    nn.Softshrink,
    CST,
    CReLU,
    HoyerLeaky,
    HoyerSpike,
    HyReLU,
    KWinners,
    KWinners2d,
    RelativeHyReLU,
    SaturatedReLU,
    ShiftedReLU,
    SoftThreshold,
    StatisticalThreshold,
    ZeroedReLU,
)
"""Activations that give exact zeros."""

_PASSING: Final = (nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d)
_MOSTLY_ZERO: Final = 0.5


def plain_layers(model: nn.Module) -> dict[str, nn.Linear]:
    """The linear layers whose forward is that of ``nn.Linear``, by path, each once."""
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear)
        and type(module).forward is nn.Linear.forward
        and "forward" not in module.__dict__
    }


def by_example(model: nn.Module, example: Example) -> dict[str, torch.Size]:
    """Layers that one run shows to be fed by a sparsifier, or to get an input that is zero for one half or more.

    What lies in the memory of a sparsifier's output comes from it: a view, a flattened or reshaped tensor, the output
    of dropout in eval mode.

    Returns:
        By path, the shape of the layer's output.
    """
    kept: dict[int, Tensor] = {}  # alive, so that no other tensor gets the same memory
    found: dict[str, torch.Size] = {}

    def keep(_name: str, _kind: type[nn.Module], output: Tensor) -> None:
        kept[_memory(output)] = output

    def look(path: str, args: tuple[Any, ...], output: Any) -> None:
        x = args[0] if args else None
        if isinstance(x, Tensor) and not x.is_meta and (_memory(x) in kept or _is_mostly_zero(x)):
            found.setdefault(path, output.shape)

    with ExitStack() as stack:
        for path, layer in plain_layers(model).items():

            def hook(_: Any, args: tuple[Any, ...], output: Any, path: str = path) -> None:
                look(path, args, output)

            stack.callback(layer.register_forward_hook(hook).remove)
        stack.enter_context(watch(model, SPARSIFIERS, keep))
        run_once(model, example)
    return found


def by_structure(model: nn.Module) -> dict[str, torch.Size]:
    """Layers that follow a sparsifier in an ``nn.Sequential``, at once or through dropout and flattening."""
    paths = {id(layer): path for path, layer in plain_layers(model).items()}
    found: dict[str, torch.Size] = {}
    for module in model.modules():
        if not _is_sequential(module):
            continue
        is_sparse = False
        for child in _flattened(module):
            if id(child) in paths and is_sparse:
                found.setdefault(paths[id(child)], torch.Size([]))
            is_sparse = isinstance(child, SPARSIFIERS) or (
                is_sparse and isinstance(child, _PASSING)
            )
    return found


def _is_sequential(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def _flattened(module: nn.Module) -> Iterator[nn.Module]:
    """What a sequence runs, sequences inside it taken apart."""
    for child in module.children():
        if _is_sequential(child):
            yield from _flattened(child)
        else:
            yield child


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _is_mostly_zero(x: Tensor) -> bool:
    return x.numel() > 0 and estimate_nonzeros(x) <= (1 - _MOSTLY_ZERO) * x.numel()
