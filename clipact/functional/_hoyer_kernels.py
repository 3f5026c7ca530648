"""The kernels of Hoyer spikes: one step, or a staircase of several, with the slope of a box instead of their own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from clipact.functional._blocks import flat_blocks
from clipact.functional._hoyer_box import Box
from clipact.functional._hoyer_sums import TINY, magnitude
from clipact.functional._kernel import Backward, Forward, Kernel


@final
@dataclass(frozen=True)
class Spike(Kernel):
    """1 where the input is at its limit or past it, else 0.

    The limit, the second threshold, is used as it comes; the clip value, the first, scales the box and gets a gradient.
    """

    box: Box
    names: ClassVar[tuple[str, ...]] = ("v_threshold", "extremum")
    keeps_output: ClassVar[bool] = False
    one_pass: ClassVar[bool] = True

    def compose(self, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
        soft = self.box.scale * self.box.inside(x / magnitude(thresholds[0]))
        return self.export(x, thresholds) + (soft - soft.detach())

    def gradients(
        self, grad: Tensor, kept: Tensor, thresholds: Sequence[Tensor]
    ) -> tuple[Tensor | None, ...]:
        v, size = thresholds[0], magnitude(thresholds[0])
        z = kept / size
        dx = grad * self.box.slope(z) / size
        return dx, -dx * self.box.inside(z) * v.sign(), None

    def forward_block(self, block: Forward) -> None:
        torch.ge(block.x, block.thresholds[1], out=block.y)

    def backward_block(self, block: Backward) -> None:
        v, size = block.thresholds[0], magnitude(block.thresholds[0])
        z = self.box.finite(block.kept, size, out=block.scratch[0])
        self.box.pass_through(block.grad, z, out=block.dx).mul_(self.box.scale / size)
        total = block.sums[0]
        if total is not None:
            part = z.mul_(block.dx).to(total.dtype)
            total.sub_(part.sum_to_size(total.shape) * v.sign())

    def backward_at_once(self, whole: Backward) -> bool:
        """In half the passes, where one clip value can be read without waiting and all inputs are finite."""
        v, total = whole.thresholds[0], whole.sums[0]
        plain = whole.kept.dtype in (torch.float32, torch.float64) and v.device.type == "cpu"
        pieces = flat_blocks(whole.kept, whole.grad, whole.dx) if plain and v.numel() == 1 else None
        if pieces is None:
            return False
        size, sum_ = max(abs(v.item()), TINY), 0.0
        for kept, grad, dx in pieces:
            self.box.pass_through(grad, kept, out=dx, unit=size).mul_(self.box.scale / size)
            if total is not None:
                sum_ += torch.dot(dx, kept).item()
        finite = math.isfinite(sum_)
        if total is not None and finite:
            total.sub_(v.sign() * (sum_ / size))
        return finite

    def export(self, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
        return (x >= thresholds[1]).to(x.dtype)


@final
@dataclass(frozen=True)
class Staircase(Kernel):
    """As many of ``levels`` equal steps up to the clip value as the input reaches.

    The first threshold is the clip value; the second says where in its share of the input a step lies.
    """

    levels: int
    box: Box
    names: ClassVar[tuple[str, ...]] = ("v_threshold", "extremum")
    keeps_output: ClassVar[bool] = False
    scratch: ClassVar[int] = 2

    def compose(self, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
        size = magnitude(thresholds[0])
        z = x / size
        soft = self.box.scale * self.box.inside(z)
        height = self._steps(z.detach(), thresholds[1].detach())
        return height * (size / self.levels) + size * (soft - soft.detach())

    def gradients(
        self, grad: Tensor, kept: Tensor, thresholds: Sequence[Tensor]
    ) -> tuple[Tensor | None, ...]:
        v, extremum = thresholds
        z = kept / magnitude(v)
        dx = grad * self.box.slope(z)
        rise = grad * self._steps(z, extremum) / self.levels - dx * self.box.inside(z)
        return dx, rise * v.sign(), None

    def forward_block(self, block: Forward) -> None:
        size = magnitude(block.thresholds[0])
        torch.div(block.x, size, out=block.y)
        self._climb(block.y, block.thresholds[1]).mul_(size / self.levels)

    def backward_block(self, block: Backward) -> None:
        v, extremum = block.thresholds
        z, height = block.scratch
        size = magnitude(v)
        self.box.finite(block.kept, size, out=z)
        self.box.pass_through(block.grad, z, out=block.dx).mul_(self.box.scale)
        total = block.sums[0]
        if total is not None:
            self._climb(torch.div(block.kept, size, out=height), extremum).mul_(block.grad)
            z.mul_(block.dx).sub_(height, alpha=1 / self.levels)
            total.sub_(z.to(total.dtype).sum_to_size(total.shape) * v.sign())

    def export(self, x: Tensor, thresholds: Sequence[Tensor]) -> Tensor:
        size = magnitude(thresholds[0])
        return self._steps(x / size, thresholds[1]) * (size / self.levels)

    def _steps(self, z: Tensor, extremum: Tensor) -> Tensor:
        """How many steps ``z``, in clip values, reaches; none at NaN."""
        steps = torch.add(1 - extremum, z, alpha=self.levels).floor().clamp(0, self.levels)
        return torch.where(steps.isnan(), 0.0, steps)

    def _climb(self, z: Tensor, extremum: Tensor) -> Tensor:
        """:meth:`_steps` in place."""
        torch.add(1 - extremum, z, alpha=self.levels, out=z)
        return z.floor_().clamp_(0, self.levels).nan_to_num_(0.0)
