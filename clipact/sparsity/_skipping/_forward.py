"""The forward of a linear layer that skips zero inputs when that is faster."""

import inspect
from types import CodeType
from typing import Any, Final, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad

from clipact.sparsity._skipping._break_even import BreakEven
from clipact.sparsity._skipping._layout import is_by_columns
from clipact.sparsity._skipping._sparse_linear import estimate_nonzeros, sparse_linear

__all__ = ["ZeroSkipForward"]

_REPLICATE: Final = "_replicate_for_data_parallel"
_PLAIN: Final = (Tensor, nn.Parameter)


@final
class ZeroSkipForward:
    """Takes the place of ``forward`` in the ``__dict__`` of a linear layer, which stays what it is.

    Args:
        layer: The layer.
        break_even: Up to how many nonzero inputs it skips.
    """

    def __init__(self, layer: nn.Linear, break_even: BreakEven) -> None:
        self.layer = layer
        self.break_even = break_even

    def __call__(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that nn.Linear gives it
        """As :meth:`torch.nn.Linear.forward`."""
        weight, bias = self.layer.weight, self.layer.bias
        traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
        if not traced and _can_skip(input, weight, bias):
            rows = input.numel() // weight.shape[1]
            most = self.break_even(rows, weight)
            if most and (most >= input.numel() or estimate_nonzeros(input) <= most):
                return sparse_linear(input, weight, bias)
        return F.linear(input, weight, bias)

    def replicate(self) -> nn.Module:
        """In the place of ``_replicate_for_data_parallel``: a replica whose forward runs on the replica."""
        original: Any = getattr(type(self.layer), _REPLICATE)
        replica: Any = original(self.layer)
        forward = ZeroSkipForward(replica, self.break_even)
        replica.__dict__["forward"] = forward
        replica.__dict__[_REPLICATE] = forward.replicate
        return replica

    @property
    def __signature__(self) -> inspect.Signature:
        """That of the forward it replaces."""
        whole = inspect.signature(type(self.layer).forward)
        return whole.replace(parameters=list(whole.parameters.values())[1:])

    @property
    def __code__(self) -> CodeType:
        """That of the forward it replaces, which torch.export asks for its place in a file."""
        return type(self.layer).forward.__code__


def _can_skip(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether this is a plain call on a CPU, with the weight as :func:`zero_skip_` laid it out."""
    return (
        type(x) in _PLAIN
        and type(weight) in _PLAIN
        and (bias is None or type(bias) in _PLAIN)
        and x.is_cpu
        and weight.is_cpu
        and x.layout is torch.strided
        and x.dtype == weight.dtype
        and x.numel() > 0
        and x.dim() > 0
        and x.shape[-1] == weight.shape[1]
        and is_by_columns(weight)
        and not torch.is_autocast_enabled("cpu")
        and not _transforming()
    )


def _transforming() -> bool:
    """Whether ``torch.func`` or forward-mode differentiation is at work, for which torch has no public question."""
    functorch: bool = torch._C._are_functorch_transforms_active()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return functorch or forward_ad._current_level >= 0  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
