"""How a leaky neuron of snntorch fires, and is reset, at a Hoyer threshold."""

from collections.abc import Callable

import snntorch
import torch
from torch import Tensor

from clipact.functional import hoyer_spike
from clipact.functional._hoyer_sums import magnitude
from clipact.nn._hoyer_steps import StepExtrema


class HoyerFiring(snntorch.Leaky):
    """A ``snntorch.Leaky`` with another threshold, the same for its spikes and its resets; abstract.

    Attributes:
        extrema: The Hoyer extremum at work.
        threshold_scale: Factor on it.
        spike_grad: A surrogate of snntorch, or None for the box.
        window: The box, in clip values.
        grad_scale: Its height.
    """

    extrema: StepExtrema
    threshold_scale: float
    spike_grad: Callable[[Tensor], Tensor] | None
    window: tuple[float, float]
    grad_scale: float

    def state_function(self, input_: Tensor) -> Tensor:
        """The potential after this input, and after what the last spikes took from it."""
        if self.reset_mechanism == "subtract":
            return self._base_sub(input_)
        return self._base_zero(input_) if self.reset_mechanism == "zero" else self._base_int(input_)

    def fire(self, mem: Tensor) -> Tensor:
        """Spikes of this potential."""
        return self._spikes(mem) * self.graded_spikes_factor

    def fire_inhibition(self, batch_size: int, mem: Tensor) -> Tensor:  # noqa: ARG002 - snntorch's signature
        """A spike of the neuron with the highest potential of each sample, if it reaches its threshold."""
        first = (mem - self._level(mem)).argmax(dim=1, keepdim=True)
        return self._spikes(mem) * torch.zeros_like(mem).scatter_(1, first, 1.0)

    def mem_reset(self, mem: Tensor) -> Tensor:
        """Which neurons to reset: those that fire at this potential."""
        return self._spikes(mem).detach()

    def _place(self, mem: Tensor) -> Tensor:
        return self.extrema.place(mem) * self.threshold_scale

    def _level(self, mem: Tensor) -> Tensor:
        """The threshold at work, through which gradients reach the clip value."""
        return (magnitude(self.threshold) * self._place(mem)).to(mem.dtype)

    def _spikes(self, mem: Tensor) -> Tensor:
        return hoyer_spike(
            mem,
            self.threshold,
            self._place(mem),
            spike_grad=self.spike_grad,
            window=self.window,
            grad_scale=self.grad_scale,
        )

    def _base_sub(self, input_: Tensor) -> Tensor:
        return self._base_state_function(input_) - self.reset * self._level(self.mem)

    def _reset_now(self, fired: Tensor) -> None:
        if self.reset_mechanism == "subtract":
            self.mem = self.mem - fired * self._level(self.mem)
        elif self.reset_mechanism == "zero":
            self.mem = self.mem - fired * self.mem
