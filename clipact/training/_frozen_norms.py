"""Running statistics of normalisation layers that stay as they are while a model trains."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

__all__ = ["frozen_norms"]


@contextmanager
def frozen_norms(model: nn.Module) -> Generator[list[str]]:
    """While the block runs, layers with running statistics use them and do not change them, whatever the mode.

    A layer is in ``eval()`` while it runs and in its own mode again afterwards, so that a training loop may call
    ``model.train()`` at any time.

    Args:
        model: Any module; one without such layers is left alone.

    Yields:
        The names of the layers: those with a buffer ``running_mean`` or ``running_var``.

    Examples:
        >>> import torch
        >>> model = nn.Sequential(nn.BatchNorm1d(2))
        >>> with frozen_norms(model) as names:
        ...     _ = model.train()(torch.ones(3, 2))
        >>> names, model[0].running_mean
        (['0'], tensor([0., 0.]))
    """
    names, handles = freeze_norms(model)
    try:
        yield names
    finally:
        for handle in handles:
            handle.remove()


def freeze_norms(model: nn.Module) -> tuple[list[str], list[RemovableHandle]]:
    """The same without a block: the names, and the handles to remove at its end."""
    handles: list[RemovableHandle] = []
    names: list[str] = []
    for name, module in model.named_modules():
        buffers = {key for key, _ in module.named_buffers(recurse=False)}
        if buffers & {"running_mean", "running_var"}:
            names.append(name)
            handles += _freeze(module)
    return names, handles


def _freeze(module: nn.Module) -> list[RemovableHandle]:
    modes: list[bool] = []

    def enter(layer: nn.Module, _: Any) -> None:
        modes.append(layer.training)
        layer.training = False

    def leave(layer: nn.Module, _: Any, __: Any) -> None:
        if modes:
            layer.training = modes.pop()

    return [
        module.register_forward_pre_hook(enter),
        module.register_forward_hook(  # whoever froze the layer last leaves it first
            leave, prepend=True, always_call=True
        ),
    ]
