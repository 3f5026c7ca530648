"""One mechanism for every activation with thresholds: which form of a kernel runs when.

Composed from tensor operations and left to autograd, an activation with a tensor threshold costs ten to twenty times a
ReLU in training on a CPU: masks of bools, one pass over memory an operation, several tensors kept. A :class:`Kernel`
writes it down in forms that do not, and :func:`run` picks one:

========================================  ==========================================================================
when                                      what runs
========================================  ==========================================================================
no gradient is asked for                  :meth:`Kernel.infer`
eager training                            :meth:`Kernel.forward_block` and :meth:`Kernel.backward_block`, in cache
``torch.compile``                         :meth:`Kernel.compose` and :meth:`Kernel.gradients`, for the compiler to fuse
second derivatives                        :meth:`Kernel.gradients` in the backward pass
``torch.func``, forward mode, subclasses  :meth:`Kernel.compose` alone
``torch.export``, ONNX                    :meth:`Kernel.export`
========================================  ==========================================================================
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from clipact.functional._blocks import Scratch, blocks
from clipact.functional._kernel import Backward, Kernel, evaluate
from clipact.functional._threshold import as_tensor, fit


def run(kernel: Kernel, x: Tensor, *thresholds: float | Tensor) -> Tensor:
    """Apply ``kernel`` in the form that suits the moment.

    Args:
        kernel: The activation.
        x: Floating-point input of any shape.
        *thresholds: Numbers, or tensors that broadcast to ``x`` without enlarging it.

    Raises:
        ThresholdError: ``x`` is not floating-point, or a threshold would enlarge it.
    """
    named = zip(kernel.names, thresholds, strict=True)
    fitted = [fit(x, threshold, name) for name, threshold in named]
    if not kernel.trains:
        fitted = [limit.detach() if isinstance(limit, Tensor) else limit for limit in fitted]
    differentiable = torch.is_grad_enabled() and any(
        isinstance(tensor, Tensor) and tensor.requires_grad for tensor in (x, *fitted)
    )
    compiling = torch.compiler.is_compiling()
    if torch.compiler.is_exporting() or torch.jit.is_tracing():
        return kernel.export(x, [as_tensor(x, threshold).to(x.dtype) for threshold in fitted])
    if only_composes(x) or (compiling and not differentiable):
        return kernel.compose(x, [as_tensor(x, threshold).to(x.dtype) for threshold in fitted])
    if not differentiable:
        return kernel.infer(x, fitted)
    function = _Composed if compiling else _Blocked
    return function.apply(kernel, x, *(as_tensor(x, threshold) for threshold in fitted))


def only_composes(x: Tensor) -> bool:
    """Whether plain tensor operations alone will do: for a subclass of tensors, or what :func:`transforming` answers."""
    if torch.compiler.is_compiling():
        return False
    return type(x) not in (Tensor, nn.Parameter) or transforming()


def transforming() -> bool:
    """Whether ``torch.func`` or forward-mode differentiation is at work, for which torch has no public question."""
    functorch: bool = torch._C._are_functorch_transforms_active()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return functorch or forward_ad._current_level >= 0  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


class _Blocked(torch.autograd.Function):
    """Eager training: both passes block by block, one tensor kept."""

    @staticmethod
    def forward(ctx: Any, kernel: Kernel, x: Tensor, *thresholds: Tensor) -> Tensor:
        y = evaluate(kernel, x, thresholds)
        ctx.kernel = kernel
        ctx.save_for_backward(y if kernel.keeps_output else x, *thresholds)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            return _Composed.backward(ctx, *grads)
        kept, *thresholds = ctx.saved_tensors
        needed: Sequence[bool] = ctx.needs_input_grad[2:]
        dx, sums = _differentiate(ctx.kernel, kept, grads[0], thresholds, needed)
        rest = iter(sums)
        return None, dx, *(next(rest) if need else None for need in needed)


class _Composed(torch.autograd.Function):
    """Both passes as plain tensor operations, one tensor kept: for a compiler, and for second derivatives."""

    @staticmethod
    def forward(ctx: Any, kernel: Kernel, x: Tensor, *thresholds: Tensor) -> Tensor:
        y = kernel.compose(x, [threshold.to(x.dtype) for threshold in thresholds])
        ctx.kernel = kernel
        ctx.save_for_backward(y if kernel.keeps_output else x, *thresholds)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        kept, *thresholds = ctx.saved_tensors
        needed: Sequence[bool] = ctx.needs_input_grad[2:]
        cast = [threshold.to(kept.dtype) for threshold in thresholds]
        dx, *parts = ctx.kernel.gradients(grads[0], kept, cast)
        sums = (
            part.to(threshold.dtype).sum_to_size(threshold.shape)
            if need and part is not None
            else None
            for part, threshold, need in zip(parts, thresholds, needed, strict=True)
        )
        return None, dx, *sums


def _differentiate(
    kernel: Kernel, kept: Tensor, grad: Tensor, thresholds: Sequence[Tensor], needed: Sequence[bool]
) -> tuple[Tensor, Sequence[Tensor | None]]:
    """Gradients for the input and for each threshold that needs one, summed in single precision at least."""
    dx = torch.empty_like(kept)
    trained = [threshold for threshold, need in zip(thresholds, needed, strict=True) if need]
    totals = [
        t.new_zeros(t.shape, dtype=torch.promote_types(t.dtype, torch.float32)) for t in trained
    ]
    cast = [threshold.to(kept.dtype) for threshold in thresholds]
    whole = Backward(kept, grad, dx, cast, _deal(totals, needed), ())
    if not kernel.backward_at_once(whole):
        scratch = Scratch(kernel.scratch)
        for kept_, grad_, dx_, *rest in blocks(kept, grad, dx, *cast, *totals):
            sums = _deal(rest[len(cast) :], needed)
            kernel.backward_block(
                Backward(kept_, grad_, dx_, rest[: len(cast)], sums, scratch.like(kept_))
            )
    return dx, [total.to(t.dtype) for total, t in zip(totals, trained, strict=True)]


def _deal(totals: Sequence[Tensor], needed: Sequence[bool]) -> Sequence[Tensor | None]:
    """One total for each threshold that needs one."""
    live = iter(totals)
    return [next(live) if need else None for need in needed]
