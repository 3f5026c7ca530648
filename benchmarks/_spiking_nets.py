"""The networks of the spiking benchmark: one body, with an activation of one's choice."""

from collections.abc import Callable

import snntorch
import torch
from snntorch import surrogate
from torch import Tensor, nn

from clipact.functional import hoyer_spike
from clipact.spiking.blocks import Residual

Make = Callable[[int], nn.Module]


class FixedSpike(nn.Module):
    """A spike past a threshold that nobody trains or measures, with the surrogate of the Hoyer spike."""

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__()
        self.register_buffer("threshold", torch.tensor([threshold]))

    def forward(self, x: Tensor) -> Tensor:
        return hoyer_spike(x, 1.0, self.threshold)


class LeakySteps(nn.Module):
    """snntorch's Leaky over several steps, which lie one after the other in the batch."""

    def __init__(self, steps: int, beta: float = 0.5) -> None:
        super().__init__()
        self.steps = steps
        self.leaky = snntorch.Leaky(beta=beta, spike_grad=surrogate.atan())

    def forward(self, x: Tensor) -> Tensor:
        membrane = self.leaky.init_leaky()
        spikes = []
        for current in x.chunk(self.steps):
            spike, membrane = self.leaky(current, membrane)
            spikes.append(spike.to(x.dtype))
        return torch.cat(spikes)


class Repeated(nn.Module):
    """Shows every image in every step, behind the first layers, and takes the mean of what comes out."""

    def __init__(self, first: nn.Module, rest: nn.Module, steps: int) -> None:
        super().__init__()
        self.first, self.rest, self.steps = first, rest, steps

    def forward(self, x: Tensor) -> Tensor:
        current = self.first(x).repeat(self.steps, *[1] * (x.dim() - 1))
        return self.rest(current).view(self.steps, len(x), -1).mean(0)


def vgg(
    channels: int, size: int, classes: int, width: int, make: Make, steps: int = 1
) -> nn.Module:
    """Convolution, pool, BatchNorm, activation: in this order, since the maximum of spikes loses more than that of values."""
    large = size >= 16
    pool = [nn.MaxPool2d(2)] if large else []
    first = [nn.Conv2d(channels, width, 3, padding=1, bias=False), *pool, nn.BatchNorm2d(width)]
    layers = [make(width), *_conv(width, 2 * width, make), *_conv(2 * width, 2 * width, make, pool=True)]  # fmt: skip
    layers += [*_conv(2 * width, 4 * width, make), *_conv(4 * width, 4 * width, make, pool=True)]
    features, hidden = 4 * width * (size // (8 if large else 4)) ** 2, 4 * width
    layers += [nn.Flatten(), nn.Linear(features, hidden, bias=False), nn.BatchNorm1d(hidden), make(hidden)]  # fmt: skip
    layers += [nn.Linear(hidden, classes)]
    return Repeated(nn.Sequential(*first), nn.Sequential(*layers), steps)


def _conv(inputs: int, outputs: int, make: Make, *, pool: bool = False) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return [conv, *([nn.MaxPool2d(2)] if pool else []), nn.BatchNorm2d(outputs), make(outputs)]


def resnet(channels: int, size: int, classes: int, width: int, make: Make, steps: int = 1) -> nn.Module:  # fmt: skip
    """Residual blocks around a real-valued stream; the first convolution is analog."""
    del size
    first = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))  # fmt: skip
    blocks = [
        Residual(inputs, outputs, stride=stride, spike=make)
        for inputs, outputs, stride in (
            (width, 2 * width, 2),
            (2 * width, 2 * width, 1),
            (2 * width, 4 * width, 2),
            (4 * width, 4 * width, 1),
            (4 * width, 4 * width, 1),
        )
    ]
    head = [make(4 * width), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes)]
    return Repeated(first, nn.Sequential(*blocks, *head), steps)
