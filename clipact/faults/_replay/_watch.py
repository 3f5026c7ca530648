"""See every operation of torch, and what it does to its arguments."""

import re
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Final, NamedTuple, final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from clipact.faults._replay._log import Log
from clipact.faults._replay._values import key, plain_tensors

__all__ = ["Watch", "peeking"]

_READING: Final = ("tolist",)
_RAISING: Final = re.compile(r"::_?(linalg|cholesky|inverse|lu_|triangular|multinomial)")
_SHARING: Final = ("numpy", "__array__", "__dlpack__", "data_ptr")


class _Signature(NamedTuple):
    written: tuple[tuple[int, str], ...]
    view: bool
    bends: bool
    decides: bool
    lifts: bool


@final
class Watch(TorchDispatchMode):
    """While active, tells a log of every operation."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log
        self._signatures: dict[Any, _Signature] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if self._log.silent:
            return func(*args, **kwargs)
        start = perf_counter()
        signature = self._signatures.get(func)
        if signature is None:
            signature = self._signatures[func] = _signature(func)
        inputs = list(plain_tensors((args, kwargs)))
        found = [args[n] if n < len(args) else kwargs.get(name) for n, name in signature.written]
        written = list(plain_tensors(found))
        if signature.lifts:
            self._log.create(inputs)
        self._log.overhead += perf_counter() - start
        result = func(*args, **kwargs)
        start = perf_counter()
        outputs = list(plain_tensors(result))
        known = {key(tensor) for tensor in inputs}
        view = signature.view and all(key(tensor) in known for tensor in outputs)
        self._log.operate(inputs, written, outputs, view=view)
        if signature.bends:
            self._log.bend(inputs[0])
        if signature.decides:
            self._log.decide()
        self._log.overhead += perf_counter() - start
        return result


def _signature(func: Any) -> _Signature:
    schema: Any = func._schema  # noqa: SLF001 - torch has no public name for it
    bends = torch.Tag.inplace_view in func.tags
    writes = [
        a.alias_info is not None and a.alias_info.is_write and not bends for a in schema.arguments
    ]
    written = tuple(
        (n, a.name)
        for n, (a, write) in enumerate(zip(schema.arguments, writes, strict=True))
        if write
    )
    aliases = [r.alias_info is not None for r in schema.returns]
    return _Signature(
        written,
        view=bool(aliases) and all(aliases) and not written,
        bends=bends,
        decides=bool(
            {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(func.tags)
        )
        or _RAISING.search(schema.name) is not None,
        lifts=schema.name in {"aten::lift_fresh", "aten::lift"},
    )


@contextmanager
def peeking(log: Log) -> Generator[None]:
    """Inside, a log is told when Python takes the values of tensors past torch's operations."""
    owner: Any = Tensor
    before = {name: owner.__dict__.get(name) for name in (*_READING, *_SHARING)}
    try:
        for name in before:
            setattr(owner, name, _told(getattr(owner, name), log, write=name in _SHARING))
        yield
    finally:
        for name, value in before.items():
            if value is None:
                if name in owner.__dict__:
                    delattr(owner, name)
            else:
                setattr(owner, name, value)


def _told(function: Callable[..., Any], log: Log, *, write: bool) -> Callable[..., Any]:
    thread = threading.get_ident()

    def told(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() == thread and not log.silent:
            for tensor in plain_tensors(self):
                log.peek(tensor, write=write)
        return function(self, *args, **kwargs)

    return told
