"""What an activation with thresholds is made of: one function in forms that suit different moments."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple, final

import torch
from torch import Tensor

from clipact.functional._blocks import Scratch, blocks
from clipact.functional._threshold import as_tensor


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

    def subtract(self, index: int, part: Tensor) -> None:
        """Subtract ``part``, as :meth:`add` adds it."""
        total = self.sums[index]
        if total is not None:
            total.sub_(part.to(total.dtype).sum_to_size(total.shape))


class Kernel(ABC):
    """An activation in forms that agree in every value and every gradient.

    Everywhere, thresholds come as tensors with the dtype and the number of dimensions of the input, unless said
    otherwise.

    Attributes:
        names: What the thresholds are called, in order.
        keeps_output: Whether the gradients are computed from the output, which the next layer keeps anyway, or else
            from the input.
        trains: Whether the thresholds receive gradients; where they are 0 by definition, they get None.
        scratch: How many intermediate tensors a block needs, forward or backward.
        one_pass: Whether the forward pass is a single operation, which gains nothing from blocks.
    """

    names: ClassVar[tuple[str, ...]] = ("threshold",)
    keeps_output: ClassVar[bool] = True
    trains: ClassVar[bool] = True
    scratch: ClassVar[int] = 1
    one_pass: ClassVar[bool] = False

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

    def backward_at_once(self, whole: Backward) -> bool:  # noqa: ARG002 - most have no such form
        """Do all of the backward pass in a way of its own, without scratch; whether that was possible."""
        return False

    def export(self, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
        """The activation in the fewest operations of an exchange format, whatever their gradients."""
        return self.compose(x, thresholds)

    def infer(self, x: Tensor, thresholds: Sequence[float | Tensor]) -> Tensor:
        """The activation where no gradient is asked for; thresholds are numbers, or tensors of any dtype."""
        return evaluate(self, x, [as_tensor(x, threshold) for threshold in thresholds])


def evaluate(kernel: Kernel, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
    """The activation block by block; thresholds are tensors of any dtype with the dimensions of ``x``."""
    y = torch.empty_like(x)
    cast = [threshold.to(x.dtype) for threshold in thresholds]
    if kernel.one_pass:
        kernel.forward_block(Forward(x, y, cast, ()))
        return y
    scratch = Scratch(kernel.scratch)
    for x_, y_, *limits in blocks(x, y, *cast):
        kernel.forward_block(Forward(x_, y_, limits, scratch.like(x_)))
    return y


def keep_where(mask: Tensor, values: Tensor, *, out: Tensor) -> Tensor:
    """``values`` where the floating-point ``mask`` is 1, zero where it is 0, in one vectorised pass."""
    return torch.ops.aten.threshold_backward.grad_input(values, mask, 0.5, grad_input=out)


def drop_where(mask: Tensor, values: Tensor, *, out: Tensor) -> Tensor:
    """Zero where the floating-point ``mask`` is 1, ``values`` where it is 0, in one vectorised pass."""
    return torch.ops.aten.hardtanh_backward.grad_input(values, mask, -1, 0.5, grad_input=out)
