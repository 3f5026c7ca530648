"""What a controller of sparsity knows of one activation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import Tensor

from clipact._mean_field import density, quantile
from clipact.sparsity._count import nonzeros
from clipact.sparsity._granules import Thresholded, shared_axes, sides_of

__all__ = ["Held"]

_SAMPLE = 1 << 16  # values that are enough to tell a standard deviation
_FEW = 64  # values of each element of tau that are, where those are few
_SLOW = 0.05  # share of the newest value in running estimates
_SMALL = 0.02  # errors that say something of the drift; larger ones are those of a beginning
_MANY = 20  # values that should not be zero; where all are, it is no chance
_STATE: Final = ("zeros", "values", "deviation", "share", "speed")


@final
@dataclass(eq=False)
class Held:
    """An activation whose sparsity is held.

    Attributes:
        name: Its path.
        module: The activation.
        zeros: Zeros since the last step, one count an element of ``tau``.
        values: Outputs since the last step, a number for each element of ``tau``.
        deviation: Running standard deviation of the input, of the shape of ``tau``; NaN before the first batch.
        share: Running share of zeros, likewise.
        speed: By how much ``tau`` moves in a step when its sparsity is right, likewise.
    """

    name: str
    module: Thresholded
    zeros: Tensor
    values: int
    deviation: Tensor
    share: Tensor
    speed: Tensor

    @classmethod
    def of(cls, name: str, module: Thresholded) -> "Held":
        """Nothing is known of it yet."""
        unknown = torch.full_like(module.tau.detach(), torch.nan, dtype=torch.float32)
        none = torch.zeros_like(unknown, dtype=torch.int64)
        return cls(name, module, none, 0, unknown, unknown.clone(), torch.zeros_like(unknown))

    def see(self, x: Tensor, output: Tensor) -> None:
        """Count, in training mode."""
        if not self.module.training or output.numel() == 0:
            return
        tau, shape = self.module.tau, self.module.tau.shape
        if self.zeros.device != tau.device:
            self.load(self.state())
        axes = shared_axes(output, tau)
        each = output.numel() // tau.numel()
        self.zeros = self.zeros + (each - nonzeros(output.detach(), axes).reshape(shape))
        self.values += each
        if each > 1:  # one value has no deviation
            found = _deviation(x.detach(), axes, each).reshape(shape)
            self.deviation = _towards(self.deviation, found)

    def move(
        self, target: float, rate: float, counts: tuple[Tensor, Tensor], overall: Tensor | None
    ) -> None:
        """Move ``tau`` towards the target, by the zeros and values of all processes; or by an overall share of zeros.

        What has given nothing since the last step stays.
        """
        zeros, values = counts
        share = zeros / values
        self.share = _towards(self.share, share)
        sides, most = sides_of(self.module), self.deviation
        z = quantile(target if sides == 1 else (1.0 + target) / 2.0)
        unit = self.deviation / (sides * density(z))
        error = target - (share if overall is None else overall.to(share.device))
        tau = self.module.tau.detach().to(unit.dtype)
        change = (rate * unit * error).clamp(-most, most)
        dead = (share >= 1.0) & (values * (1.0 - target) >= _MANY)
        change = torch.where(dead, torch.minimum(change, -rate * tau), change)
        speed = self.speed + rate * rate / 16.0 * unit * error.clamp(-_SMALL, _SMALL)
        known = change.isfinite() & speed.isfinite() & (values > 0)
        self.speed = torch.where(known, speed, self.speed)
        moved = torch.where(known, tau + change + self.speed, tau)
        self.speed = torch.where(moved < 0.0, self.speed.clamp_min(0.0), self.speed)
        with torch.no_grad():
            self.module.tau.copy_(moved.clamp_min(0.0))
        self.zeros, self.values = torch.zeros_like(self.zeros), 0

    def state(self) -> dict[str, Any]:
        """Tensors and numbers."""
        return {key: getattr(self, key) for key in _STATE}

    @staticmethod
    def is_state(state: Mapping[str, Any]) -> bool:
        """Whether it has what :meth:`state` gives."""
        return all(key in state for key in _STATE)

    def load(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state` gave, on this module's device."""
        device = self.module.tau.device
        for key in _STATE:
            value = state[key]
            setattr(self, key, value.to(device) if isinstance(value, Tensor) else value)


def _deviation(x: Tensor, axes: tuple[int, ...], each: int) -> Tensor:
    """Standard deviation along these axes, with so many values each, of a part of the first one that is enough to tell."""
    length = x.shape[axes[0]]
    enough = max(length * _SAMPLE // x.numel(), -(-_FEW * length // each))
    return x.narrow(axes[0], 0, min(length, enough)).float().std(axes, correction=0)


def _towards(running: Tensor, found: Tensor) -> Tensor:
    """The running estimate, a little nearer to what was found; what was found at first, and nothing new if that is not finite."""
    nearer = torch.where(running.isnan(), found, running.lerp(found.to(running), _SLOW))
    return torch.where(found.isfinite(), nearer, running)
