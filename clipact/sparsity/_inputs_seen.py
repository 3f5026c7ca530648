"""What thresholded activations are given over a stream of data: quantiles, scale, and the sparsity that comes of it."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn

from clipact.calibration import QuantileSketch
from clipact.calibration._sketch import LOWEST_EXPONENT, MANTISSA_BITS
from clipact.sparsity._count import nonzeros, not_finite
from clipact.sparsity._first_input import first_input
from clipact.sparsity._granules import Thresholded, rows_of, shared_axes, sides_of

__all__ = ["InputsSeen", "seeing"]


@final
class InputsSeen:
    """One activation: what it was given, a row for each element of its ``tau``, and how much became zero."""

    def __init__(self, module: Thresholded) -> None:
        tau = module.tau
        self.module = module
        self._sketch = QuantileSketch.empty(tau.numel(), tau.device)
        self._zeros = torch.zeros(tau.numel(), dtype=torch.int64, device=tau.device)
        self._squares = torch.zeros(tau.numel(), dtype=torch.float64, device=tau.device)
        self._broken = torch.zeros((), dtype=torch.int64, device=tau.device)
        self.each = 0

    def see(
        self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor
    ) -> None:
        """Forward hook with keyword arguments."""
        tau, x = self.module.tau, first_input(args, kwargs).detach()
        if x.numel() == 0:
            return
        rows = rows_of(x, tau)
        self._sketch.add(rows.abs() if sides_of(self.module) == 2 else rows)
        each = rows.shape[1]
        self._zeros += each - nonzeros(output.detach(), shared_axes(output, tau)).reshape(-1)
        self._squares += rows.double().square().sum(1)
        self._broken += not_finite(x)
        self.each += each

    @property
    def broken(self) -> int:
        """How many values were NaN or infinite."""
        return int(self._broken)

    @property
    def values(self) -> int:
        """How many values were seen."""
        return self.each * self._zeros.numel()

    @property
    def zeros(self) -> int:
        """How many outputs were exactly zero."""
        return int(self._zeros.sum())

    @property
    def shares(self) -> Tensor:
        """Share of zeros, one an element of ``tau``; float64 on the CPU."""
        return self._zeros.cpu().double() / self.each

    @property
    def scale(self) -> Tensor:
        """Root of the mean square of the input, likewise."""
        return (self._squares.cpu() / self.each).sqrt()

    def below(self, values: Tensor) -> Tensor:
        """Share of inputs (magnitudes, for a two-sided activation) below ``values``, one an element of ``tau``."""
        cumulative = torch.nn.functional.pad(self._sketch.counts.cpu().cumsum(1), (1, 0)).double()
        return _interpolated(_edges(), cumulative / self.each, values)

    def quantile(self, share: float) -> Tensor:
        """The value below which this share of the inputs lies, one an element of ``tau``; values in a bucket evenly spread."""
        cumulative = torch.nn.functional.pad(self._sketch.counts.cpu().cumsum(1), (1, 0)).double()
        wanted = torch.full((len(cumulative), 1), share * self.each, dtype=torch.float64)
        right = torch.searchsorted(cumulative, wanted).clamp(1, cumulative.shape[1] - 1)
        low, high = cumulative.gather(1, right - 1), cumulative.gather(1, right)
        part = ((wanted - low) / (high - low)).clamp(0.0, 1.0)
        edges = _edges()
        return (edges[right - 1] + part * (edges[right] - edges[right - 1])).squeeze(1)


@contextmanager
def seeing(modules: Mapping[str, Thresholded]) -> Generator[dict[str, InputsSeen]]:
    """See what these activations are given while the model runs inside."""
    seen = {name: InputsSeen(module) for name, module in modules.items()}
    handles: list[Any] = [
        each.module.register_forward_hook(each.see, with_kwargs=True) for each in seen.values()
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _edges() -> Tensor:
    """The bounds of the sketch's buckets, rising."""
    empty = QuantileSketch.empty(1, torch.device("cpu"))
    half = (empty.counts.shape[1] - 1) // 2
    first = (127 + LOWEST_EXPONENT) << MANTISSA_BITS
    bits = (torch.arange(half + 1) + first) << (23 - MANTISSA_BITS)
    bounds = bits.to(torch.int32).view(torch.float32).double()
    return torch.cat([-bounds.flip(0), bounds])


def _interpolated(edges: Tensor, heights: Tensor, at: Tensor) -> Tensor:
    """Of each row of ``heights``, given at the edges, the value at one place."""
    right = torch.searchsorted(edges, at.contiguous()).clamp(1, len(edges) - 1)
    part = ((at - edges[right - 1]) / (edges[right] - edges[right - 1])).clamp(0.0, 1.0)
    low = heights.gather(1, (right - 1).unsqueeze(1)).squeeze(1)
    high = heights.gather(1, right.unsqueeze(1)).squeeze(1)
    return low + part * (high - low)
