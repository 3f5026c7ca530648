"""The surrogate slope of Hoyer spikes: a box around the clip value."""

from dataclasses import dataclass
from functools import lru_cache
from typing import final

import torch
from torch import Tensor


@final
@dataclass(frozen=True)
class Box:
    """A slope of ``scale`` where the input, in units of the clip value, lies in ``(low, high]``, and 0 elsewhere."""

    low: float
    high: float
    scale: float

    def inside(self, z: Tensor) -> Tensor:
        """``z`` inside the box, 0 outside and where it is not finite."""
        return torch.where(self._within(z), z, 0.0)

    def slope(self, z: Tensor) -> Tensor:
        """The slope at ``z``, in floating-point numbers."""
        return self._within(z).to(z.dtype) * self.scale

    def finite(self, x: Tensor, size: Tensor, *, out: Tensor) -> Tensor:
        """``x / size``, with what is not finite moved to the lower bound, where the slope is 0."""
        return torch.div(x, size, out=out).nan_to_num_(self.low, self.low, self.low)

    def pass_through(self, grad: Tensor, x: Tensor, *, out: Tensor, unit: float = 1.0) -> Tensor:
        """``grad`` where ``x``, in units of ``unit``, is inside the box, else 0, in one vectorised pass; not for NaN."""
        low, past = self.low * unit, _after(self.high * unit, x.dtype)
        return torch.ops.aten.hardtanh_backward.grad_input(grad, x, low, past, grad_input=out)

    def _within(self, z: Tensor) -> Tensor:
        return (z > self.low) & (z <= self.high)


@lru_cache(maxsize=8)
def _after(value: float, dtype: torch.dtype) -> float:
    """The next number, so that a strict comparison with it includes ``value``."""
    exact, infinity = torch.tensor([value, torch.inf], dtype=dtype)
    return torch.nextafter(exact, infinity).item()
