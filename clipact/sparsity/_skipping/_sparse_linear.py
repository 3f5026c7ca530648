"""A linear layer that reads only the weights of inputs that are not zero."""

import math
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor

__all__ = ["estimate_nonzeros", "sparse_linear"]

_FEW: Final = 2**12
_SUM: Final = 0
"""What ``mode="sum"`` is to ``torch.embedding_bag``."""


def sparse_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    r"""As :func:`torch.nn.functional.linear`, from the inputs that are not zero: :math:`y = \sum_{i:\,x_i \ne 0} x_i W_{:,i} + b`.

    Each row of ``x`` is a bag of columns of the weight, summed with its values. At batch 1 a linear layer is as fast as
    its weight comes from memory, so what is not read is saved. Gradients with respect to the input, the weight and the
    bias are those of a dense layer, at zeros too, and cost what they do there.

    NaN and infinite inputs are not zero, and give what they give in a dense layer. A weight that is NaN or infinite
    shows only where its input is not zero; dense, 0 times it gives NaN.

    :func:`zero_skip_` puts this into a model, where it pays.

    Args:
        x: Floating-point ``(..., in_features)``.
        weight: ``(out_features, in_features)``, of the dtype of ``x``. It is read column by column: fast only if
            ``weight.t()`` is contiguous, as :func:`zero_skip_` makes it.
        bias: ``(out_features,)``.

    Returns:
        ``(..., out_features)``, up to rounding the dense result: sums are made in another order.

    Raises:
        RuntimeError: Shapes or dtypes do not fit.

    Examples:
        >>> weight = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        >>> sparse_linear(torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]), weight, torch.tensor([0.5, 0.5]))
        tensor([[2.5000, 5.5000],
                [0.5000, 0.5000]])
    """
    rows = x.reshape(-1, weight.shape[1])
    tensors = (rows, weight) if bias is None else (rows, weight, bias)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        y = _SparseLinear.apply(rows, weight, bias)
    else:
        y = _sum_bags(rows, weight, bias)
    return y.view(*x.shape[:-1], weight.shape[0])


def estimate_nonzeros(x: Tensor) -> int:
    """How many elements are not zero: exactly of up to 4,096, of more by a sample of as many.

    Counting takes a branch an element, which costs more than it saves when they are many and random. The sample is evenly
    spaced, with a step that visits all features alike.
    """
    if x.numel() <= _FEW:
        return int(torch.count_nonzero(x))
    flat, step = x.detach().reshape(-1), x.numel() // _FEW
    while math.gcd(step, x.shape[-1]) > 1:
        step += 1
    size = x.numel() // step
    sample = flat.as_strided((size,), (step * flat.stride(0),), flat.storage_offset())
    return int(torch.count_nonzero(sample)) * x.numel() // size


def _sum_bags(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """One bag of weight columns a row, all zeros an empty bag.

    Few operations, and none through Python wrappers: where weights are cold, code is too, and a call costs more than
    its work.
    """
    flat = rows.reshape(-1)
    columns = places = _nonzero(flat)
    if len(rows) == 1:
        starts = torch.zeros(1, dtype=torch.int64, device=rows.device)
    else:
        firsts = torch.arange(0, flat.numel(), rows.shape[1], device=rows.device)
        starts = torch.searchsorted(places, firsts)
        columns = places % rows.shape[1]
    values = flat.index_select(0, places)
    sums = torch.embedding_bag(weight.t(), columns, starts, False, _SUM, False, values)[0]  # noqa: FBT003 - by position only
    return sums if bias is None else sums.add_(bias)


def _nonzero(flat: Tensor) -> Tensor:
    """Indices of what is not zero; of many elements by NumPy, which needs no branch an element."""
    if flat.numel() <= _FEW or not flat.is_cpu:
        return flat.nonzero().view(-1)
    return torch.from_numpy(np.flatnonzero(flat.ne(0).numpy()))


@final
class _SparseLinear(torch.autograd.Function):
    """Its backward pass is that of a dense layer, made of operations that can be differentiated again."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(rows, weight)
        return _sum_bags(rows, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        (grad,) = grads
        of_rows, of_weight, of_bias = ctx.needs_input_grad
        return (
            grad @ weight if of_rows else None,
            (rows.t() @ grad).t() if of_weight else None,  # laid out as the weight is
            grad.sum(0) if of_bias else None,
        )
