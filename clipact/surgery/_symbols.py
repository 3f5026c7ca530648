"""Symbols that Python code takes for tensors, and torch's own code does not."""

import builtins
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, final

from torch import Tensor, fx

__all__ = ["TensorSymbol", "UntraceableError", "symbols_as_tensors"]


class UntraceableError(Exception):
    """Why a container cannot be traced; becomes part of a SurgeryError."""


@final
class TensorSymbol(fx.Proxy):
    """Stands for an argument that is a tensor."""

    _is_param = False  # asked by isinstance(x, nn.Parameter)


@contextmanager
def symbols_as_tensors() -> Generator[None]:
    """While active, ``isinstance(symbol, Tensor)`` holds.

    Only the function is exchanged: a symbol whose ``__class__`` were Tensor would deceive the type checks of compiled
    code as well, which then reads memory that is not there.
    """
    original = builtins.isinstance

    def is_instance(value: Any, kinds: Any, /) -> bool:
        return original(value, kinds) or (type(value) is TensorSymbol and _is_tensor_among(kinds))

    def _is_tensor_among(kinds: Any) -> bool:
        if original(kinds, tuple):
            return any(_is_tensor_among(kind) for kind in kinds)
        members = getattr(kinds, "__args__", None)  # of a union
        return any(kind is Tensor for kind in members) if members else kinds in (Tensor, object)

    builtins.isinstance = is_instance  # pyright: ignore[reportAttributeAccessIssue] - put back below
    try:
        yield
    finally:
        builtins.isinstance = original
