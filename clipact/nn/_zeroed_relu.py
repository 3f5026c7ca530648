"""The module of a ReLU that falls to zero past its threshold."""

from typing import final

import torch.fx
from torch import Tensor, nn

from clipact.functional import zeroed_relu
from clipact.functional._threshold import at_dtype
from clipact.nn._base import Activation

# a symbolic trace of a model records the call instead of looking into it
torch.fx.wrap("zeroed_relu")


@final
class ZeroedReLU(Activation):
    r"""The module of :func:`clipact.functional.zeroed_relu`.

    Args:
        threshold: A number, or a tensor of shape ``(1,)`` (layer), ``(C, 1, 1)`` (channel), ``(C, H, W)`` or ``(F,)``
            (neuron). It is copied; at least 0. It never receives a gradient: train a :class:`HyReLU` and harden it.

    Shape:
        Input and output: any shape to which the threshold broadcasts without enlarging it.

    Raises:
        ThresholdError: The threshold is NaN, negative, empty or not floating-point.

    Examples:
        >>> import torch
        >>> ZeroedReLU(6.0)(torch.tensor([-1.0, 2.0, 8.0, float("nan")]))
        tensor([0., 2., 0., 0.])
    """

    threshold: nn.Parameter

    def __init__(self, threshold: float | Tensor) -> None:
        super().__init__()
        self._register_threshold("threshold", threshold)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        return zeroed_relu(x, self.threshold)

    def out_of_range(self, x: Tensor) -> Tensor:
        """Where ``x`` is above the threshold or NaN."""
        return ~(x <= at_dtype(x, self.threshold))
