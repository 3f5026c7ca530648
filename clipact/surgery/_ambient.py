"""Modes of torch that surround a forward, and what a graph of its calls cannot express."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils import _pytree as pytree

from clipact.surgery._factories import is_symbol
from clipact.surgery._symbols import UntraceableError

__all__ = ["ambient", "refused_regions", "surroundings"]

_DEVICES: Final = ("cpu", "cuda")


def ambient() -> tuple[Any, ...]:
    """Gradient, inference and autocast mode, as they are now."""
    casts = [
        (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)) for device in _DEVICES
    ]
    return torch.is_grad_enabled(), torch.is_inference_mode_enabled(), *casts


@contextmanager
def surroundings(*, plain: bool) -> Generator[None]:
    """Gradients on and autocast off inside; or, if not ``plain``, the other way round."""
    before = [torch.is_autocast_enabled(device) for device in _DEVICES]
    with torch.inference_mode(mode=False), torch.set_grad_enabled(plain):
        try:
            for device in _DEVICES:
                torch.set_autocast_enabled(device, not plain)
            yield
        finally:
            for device, enabled in zip(_DEVICES, before, strict=True):
                torch.set_autocast_enabled(device, enabled)


@contextmanager
def refused_regions() -> Generator[None]:
    """While active, functions with a backward of their own and checkpointed regions raise.

    Raises:
        UntraceableError: Traced through, they would lose what they are there for.
    """
    function: Any = torch.autograd.Function
    original = function.__dict__["apply"]
    with ExitStack() as stack:
        _exchange(stack, function, "apply", classmethod(partial(_apply, original)))
        _exchange(stack, saved_tensors_hooks, "__enter__", _enter)
        yield


def _exchange(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    stack.callback(setattr, owner, name, owner.__dict__[name])
    setattr(owner, name, value)


def _apply(original: Any, cls: type, /, *args: Any, **kwargs: Any) -> Any:
    if any(is_symbol(leaf) for leaf in pytree.tree_leaves((args, kwargs))):
        raise UntraceableError(f"it applies {cls.__name__}, whose backward tracing would lose")
    return original.__get__(None, cls)(*args, **kwargs)


def _enter(_hooks: saved_tensors_hooks) -> None:
    raise UntraceableError("it saves tensors in a way of its own, as activation checkpointing does")
