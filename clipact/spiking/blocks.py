"""Blocks of spiking networks that keep what must stay real-valued real-valued."""

from collections.abc import Callable
from typing import final

from torch import Tensor, nn

from clipact.errors import SpikingError
from clipact.nn import HoyerSpike

__all__ = ["Residual"]


def _spike(_channels: int) -> HoyerSpike:
    return HoyerSpike()


@final
class Residual(nn.Module):
    r"""One convolution on spikes, beside a stream that stays real-valued.

    .. math:: y = \mathrm{BN}(W * \mathrm{spike}(x)) + x

    Every convolution has a shortcut of its own. Only spikes enter convolutions, so they cost accumulates; the sum is of
    real values, which no later threshold has cut. Where the shape changes, the shortcut is a 1×1 convolution on the same
    spikes with a BatchNorm. Two of these stand for a basic block of a ResNet; the first layer of the network, and a last
    spike in front of its Linear layer, are yours.

    Args:
        in_channels: Of the input.
        out_channels: Of the output.
        stride: Of the convolution.
        kernel_size: Odd.
        spike: Makes the spike for a number of channels, for example ``lambda channels: HoyerSpike(channels, levels=4)``.

    Raises:
        SpikingError: ``kernel_size`` is even, or ``spike`` a module.

    Shape:
        ``(N, in_channels, H, W)`` to ``(N, out_channels, H / stride, W / stride)``, rounded up.

    References:
        Datta, Liu, Beerel, "Hoyer regularizer is all you need for ultra low-latency spiking neural networks",
        arXiv 2212.10170.

    Examples:
        >>> import torch
        >>> Residual(16, 32, stride=2)(torch.randn(1, 16, 8, 8)).shape
        torch.Size([1, 32, 4, 4])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        kernel_size: int = 3,
        spike: Callable[[int], nn.Module] = _spike,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise SpikingError(
                f"Residual got kernel_size={kernel_size}, which would not give the shortcut's shape; take an odd one"
            )
        if isinstance(spike, nn.Module):
            raise SpikingError(
                "Residual got a module as spike=; give a function of the number of channels, for example HoyerSpike"
            )
        self.spike = spike(in_channels)
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False
        )
        self.norm = nn.BatchNorm2d(out_channels)
        self.shortcut = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """The stream after the block."""
        spikes = self.spike(x)
        kept = x if self.shortcut is None else self.shortcut(spikes)
        return self.norm(self.conv(spikes)) + kept
