"""The networks of the spiking benchmark: one body, with an activation of one's choice."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import snntorch
import torch
import torch.nn.functional as F
from _fit import Loss
from snntorch import surrogate
from torch import Tensor, nn

from clipact.functional import hoyer_spike
from clipact.nn import HoyerSpike
from clipact.spiking import to_spiking_
from clipact.spiking.blocks import Residual

Make = Callable[[int], nn.Module]


class FixedSpike(nn.Module):
    """A spike past a threshold that nobody trains or measures, with the surrogate of the Hoyer spike."""

    def __init__(self, threshold: float, grad_scale: float) -> None:
        super().__init__()
        self.grad_scale = grad_scale
        self.register_buffer("threshold", torch.tensor([threshold]))

    def forward(self, x: Tensor) -> Tensor:
        return hoyer_spike(x, 1.0, self.threshold, grad_scale=self.grad_scale)


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


SLOPE = 0.65
"""Height of the box, such that gradients behind BatchNorm neither grow nor fade from layer to layer."""


def levels(channels: int, number: int) -> HoyerSpike:
    """A staircase over two deviations of its input, with the slope of what it rounds."""
    return HoyerSpike(channels, levels=number, v_threshold=2.0, grad_scale=1.0, window=(0.0, 1.0))


@dataclass(frozen=True)
class Method:
    """An activation: how to make it, its time steps, and the name of its checkpoints, to change with its settings.

    A network that is taught starts from the one with ReLU, and learns its outputs for as many epochs again.
    """

    make: Make
    key: str
    steps: int = 1
    taught: bool = False


METHODS = {
    "ReLU": Method(lambda _: nn.ReLU(), "ReLU"),
    "Hoyer, 1 level": Method(lambda c: HoyerSpike(c, grad_scale=SLOPE), "hoyer1_g65_nd"),
    "Hoyer, 2 levels": Method(lambda c: levels(c, 2), "hoyer2_v2_w1_nd"),
    "Hoyer, 4 levels": Method(lambda c: levels(c, 4), "hoyer4_v2_w1_nd"),
    "Hoyer, 1 level, taught": Method(
        lambda c: HoyerSpike(c, grad_scale=SLOPE), "hoyer1_g65_taught", taught=True
    ),
    "Hoyer, 4 levels, taught": Method(lambda c: levels(c, 4), "hoyer4_v2_w1_taught", taught=True),
    "fixed threshold": Method(lambda _: FixedSpike(0.5, SLOPE), "fixed5_g65"),
    "Leaky, T=1": Method(lambda _: LeakySteps(1), "Leaky_T1"),
    "Leaky, T=4": Method(lambda _: LeakySteps(4), "Leaky_T4", steps=4),
    "Hoyer, 1 level, paper's box": Method(HoyerSpike, "hoyer1_paper_nd"),
    "Hoyer, 4 levels, paper's box": Method(
        lambda c: HoyerSpike(c, levels=4, v_threshold=2.0), "hoyer4_paper_nd"
    ),
}


def taught(teacher: nn.Module, make: Make, images: Tensor) -> nn.Module:
    """A copy of a network with ReLUs that spikes, its thresholds and statistics set to these images."""
    spike = lambda site: make(site.shape[1])  # noqa: E731 - short
    student = copy.deepcopy(teacher).eval()
    return to_spiking_(student, example=images[:2], spike=spike, calibration=images.split(250))


def learning_from(teacher: nn.Module, temperature: float = 4.0) -> Loss:
    """Cross-entropy, and twice as much of the divergence from what the teacher says."""
    teacher.eval()

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        found = model(images).float()
        with torch.no_grad():
            wanted = (teacher(images).float() / temperature).softmax(1)
        apart = F.kl_div((found / temperature).log_softmax(1), wanted, reduction="batchmean")
        return (
            F.cross_entropy(found, labels, label_smoothing=0.05) / 3
            + apart * temperature**2 * 2 / 3
        )

    return loss
