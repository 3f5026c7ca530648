"""Calls that create tensors from nothing, made part of a graph that is being traced."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final, final

import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode, is_tensor_method_or_property
from torch.utils import _pytree as pytree

__all__ = ["is_symbol", "traced_factories"]

_SIZED: Final = (
    *("arange", "empty", "eye", "full", "linspace", "logspace", "ones"),
    *("rand", "randint", "randn", "randperm", "zeros"),
)
"""Functions of torch that reject symbols as sizes before anyone could record the call."""


def is_symbol(value: Any) -> bool:
    """Whether this is a proxy, whatever it claims to be."""
    return issubclass(type(value), fx.Proxy)


@contextmanager
def traced_factories(tracer: fx.Tracer) -> Generator[None]:
    """While active, ``torch.zeros``, ``torch.rand`` and their like become nodes, not constants."""
    with ExitStack() as stack:
        for name in _SIZED:
            original = getattr(torch, name)
            stack.callback(setattr, torch, name, original)
            setattr(torch, name, partial(_call, tracer, original))
        stack.enter_context(_Factories(tracer))
        yield


def _call(tracer: fx.Tracer, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    if any(is_symbol(leaf) for leaf in pytree.tree_leaves((args, kwargs))):
        return tracer.create_proxy("call_function", function, args, kwargs)
    return function(*args, **kwargs)


@final
class _Factories(TorchFunctionMode):
    """Records a call that gives tensors though no symbol goes in."""

    def __init__(self, tracer: fx.Tracer) -> None:
        super().__init__()
        self._tracer = tracer

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Called for every function of torch."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        leaves = [leaf for leaf in pytree.tree_leaves(result) if not is_symbol(leaf)]
        if not any(type(leaf) is Tensor or isinstance(leaf, nn.Parameter) for leaf in leaves):
            return result
        kind = "call_method" if is_tensor_method_or_property(func) else "call_function"
        target = func.__name__ if kind == "call_method" else func
        return self._tracer.create_proxy(kind, target, args, kwargs)
