"""What a meter counts in one layer."""

import math
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor, nn

from clipact.errors import SpikingError
from clipact.nn import HoyerSpike
from clipact.sparsity._count import nonzeros
from clipact.spiking._meter._spike_table import LayerSpikes
from clipact.surgery import Execution

__all__ = ["Counter", "number_of_spikes"]


@final
@dataclass(eq=False)
class Counter:
    """What was counted in a layer.

    Attributes:
        kind: Its class.
        spikes: Of each channel.
        active: Of each channel, how many values were not zero.
        each: Values seen of a channel.
        neurons: Of a sample.
        steps: Calls in one forward of the network.
        kept: Spikes of the first samples, by call.
    """

    kind: type[nn.Module]
    spikes: Tensor = field(default_factory=lambda: torch.zeros(()))
    active: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.int64))
    each: int = 0
    neurons: int = 0
    steps: int = 1
    kept: list[Tensor] = field(default_factory=list[Tensor])

    def see(self, execution: Execution, spikes: Tensor, others: tuple[int, ...]) -> None:
        """Count one call.

        Args:
            execution: The call.
            spikes: Of each value, how many it is.
            others: All dimensions but that of the channels.

        Raises:
            SpikingError: The number of channels has changed.
        """
        active = nonzeros(spikes, others)
        number = spikes.sum(others, dtype=torch.float64) if others else spikes.double()
        if self.each and active.shape != self.active.shape:
            before, now = tuple(self.active.shape), tuple(active.shape)
            raise SpikingError(
                f"{execution.site!r} had channels of shape {before} and now has {now}; reset() the meter in between"
            )
        self.active = self.active.to(active.device) + active
        self.spikes = self.spikes.to(number.device) + number
        self.each += spikes.numel() // max(active.numel(), 1)
        self.neurons = math.prod(spikes.shape[1:])
        self.steps = max(self.steps, execution.number + 1)

    def row(self, name: str, loops: int) -> LayerSpikes:
        """The counts, for a network that a loop outside calls so often in an inference."""
        channels = self.active.numel()
        return LayerSpikes(
            name,
            self.kind,
            neurons=self.neurons,
            steps=self.steps * loops,
            spikes=float(self.spikes.sum()),
            values=self.each * channels,
            channels=channels,
            dead=int((self.active == 0).sum()) if self.each else 0,
            always_on=int((self.active == self.each).sum()) if self.each else 0,
        )


def number_of_spikes(layer: nn.Module, output: Tensor) -> Tensor:
    """Of each value, how many spikes it is: more than one where a layer has levels, none where it is NaN."""
    if isinstance(layer, HoyerSpike) and layer.levels > 1:
        unit = layer.v_threshold.detach().abs().to(output) / layer.levels
        return (output / unit.clamp(min=torch.finfo(output.dtype).tiny)).round().nan_to_num(nan=0.0)
    return ((output != 0) & ~output.isnan()).to(output.dtype)
