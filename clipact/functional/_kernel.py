"""One mechanism for every activation with thresholds: one function in several forms, and who gets which.

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
``torch.func``, forward mode, export,     :meth:`Kernel.compose` alone
tensor subclasses
========================================  ==========================================================================
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from clipact.functional._blocks import Scratch, blocks
from clipact.functional._threshold import as_tensor, fit


@final
class Forward(NamedTuple):
    """What a block of the forward pass has to work with.

    Attributes:
        x: The input; never written to.
        y: To be filled with the output.
        thresholds: The thresholds, in the dtype of ``x``.
        scratch: Tensors in the shape of ``x`` with arbitrary contents.
    """

    x: Tensor
    y: Tensor
    thresholds: Sequence[Tensor]
    scratch: Sequence[Tensor]


@final
class Backward(NamedTuple):
    """What a block of the backward pass has to work with.

    Attributes:
        kept: The output or input kept by the forward pass.
        grad: Gradient for the output.
        dx: To be filled with the gradient for the input.
        thresholds: The thresholds, in the dtype of ``kept``.
        sums: One accumulator a threshold, or None where nobody asks for its gradient.
        scratch: Tensors in the shape of ``kept`` with arbitrary contents.
    """

    kept: Tensor
    grad: Tensor
    dx: Tensor
    thresholds: Sequence[Tensor]
    sums: Sequence[Tensor | None]
    scratch: Sequence[Tensor]

    def add(self, index: int, part: Tensor) -> None:
        """Add ``part``, in the shape of ``kept``, to the gradient of threshold ``index``, if that is asked for."""
        total = self.sums[index]
        if total is not None:
            total.add_(part.to(total.dtype).sum_to_size(total.shape))


class Kernel(ABC):
    """An activation in forms that agree in every value and every gradient.

    Everywhere, thresholds come as tensors with the dtype and the number of dimensions of the input, unless said
    otherwise.

    Attributes:
        names: What the thresholds are called, in order.
        keeps_output: Whether the gradients are computed from the output, which the next layer keeps anyway, or else
            from the input.
        scratch: How many intermediate tensors a block needs, forward or backward.
    """

    names: ClassVar[tuple[str, ...]] = ("threshold",)
    keeps_output: ClassVar[bool] = True
    scratch: ClassVar[int] = 1

    @abstractmethod
    def compose(self, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
        """The activation as differentiable tensor operations."""

    @abstractmethod
    def gradients(
        self, grad: Tensor, kept: Tensor, thresholds: Sequence[Tensor]
    ) -> tuple[Tensor | None, ...]:
        """Gradients for the input and each threshold, not yet summed, as differentiable tensor operations.

        Masks are floating-point factors: a compiler would keep masks of bools between the passes, and those are slow.
        """

    @abstractmethod
    def forward_block(self, block: Forward) -> None:
        """Write the activation of ``block.x`` to ``block.y``."""

    @abstractmethod
    def backward_block(self, block: Backward) -> None:
        """Write the gradient for the input to ``block.dx`` and add that for each threshold to its sum."""

    def infer(self, x: Tensor, thresholds: Sequence[float | Tensor]) -> Tensor:
        """The activation where no gradient is asked for; thresholds are numbers, or tensors of any dtype."""
        return _evaluate(self, x, [as_tensor(x, threshold) for threshold in thresholds])


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
    differentiable = torch.is_grad_enabled() and any(
        isinstance(tensor, Tensor) and tensor.requires_grad for tensor in (x, *fitted)
    )
    compiling = torch.compiler.is_compiling()
    if _only_composes(x) or (compiling and not differentiable):
        return kernel.compose(x, [as_tensor(x, threshold).to(x.dtype) for threshold in fitted])
    if not differentiable:
        return kernel.infer(x, fitted)
    function = _Composed if compiling else _Blocked
    return function.apply(kernel, x, *(as_tensor(x, threshold) for threshold in fitted))


def _only_composes(x: Tensor) -> bool:
    if torch.compiler.is_dynamo_compiling():
        return torch.compiler.is_exporting()
    if type(x) not in (Tensor, nn.Parameter):
        return True
    return torch.compiler.is_exporting() or torch.jit.is_tracing() or _transforming()


def _transforming() -> bool:
    """Whether ``torch.func`` or forward-mode differentiation is at work, for which torch has no public question."""
    functorch: bool = torch._C._are_functorch_transforms_active()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return functorch or forward_ad._current_level >= 0  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


class _Blocked(torch.autograd.Function):
    """Eager training: both passes block by block, one tensor kept."""

    @staticmethod
    def forward(ctx: Any, kernel: Kernel, x: Tensor, *thresholds: Tensor) -> Tensor:
        y = _evaluate(kernel, x, thresholds)
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


def _evaluate(kernel: Kernel, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
    y = torch.empty_like(x)
    scratch = Scratch(kernel.scratch)
    for x_, y_, *limits in blocks(x, y, *(threshold.to(x.dtype) for threshold in thresholds)):
        kernel.forward_block(Forward(x_, y_, limits, scratch.like(x_)))
    return y


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
    scratch = Scratch(kernel.scratch)
    for kept_, grad_, dx_, *rest in blocks(kept, grad, dx, *cast, *totals):
        live = iter(rest[len(cast) :])
        sums = [next(live) if need else None for need in needed]
        kernel.backward_block(
            Backward(kept_, grad_, dx_, rest[: len(cast)], sums, scratch.like(kept_))
        )
    return dx, [total.to(t.dtype) for total, t in zip(totals, trained, strict=True)]


def keep_where(mask: Tensor, values: Tensor, *, out: Tensor) -> Tensor:
    """``values`` where the floating-point ``mask`` is 1, zero where it is 0, in one vectorised pass."""
    return torch.ops.aten.threshold_backward.grad_input(values, mask, 0.5, grad_input=out)


def drop_where(mask: Tensor, values: Tensor, *, out: Tensor) -> Tensor:
    """Zero where the floating-point ``mask`` is 1, ``values`` where it is 0, in one vectorised pass."""
    return torch.ops.aten.hardtanh_backward.grad_input(values, mask, -1, 0.5, grad_input=out)
