"""The module of a ReLU that saturates."""

from typing import final

import torch.fx
from torch import Tensor, nn

from clipact.functional import saturated_relu
from clipact.functional._threshold import at_dtype
from clipact.nn._base import Activation

# a symbolic trace of a model records the call instead of looking into it
torch.fx.wrap("saturated_relu")


@final
class SaturatedReLU(Activation):
    r"""The module of :func:`clipact.functional.saturated_relu`.

    Args:
        threshold: A number, or a tensor of shape ``(1,)`` (layer), ``(C, 1, 1)`` (channel), ``(C, H, W)`` or ``(F,)``
            (neuron). It is copied; at least 0.
        nan_to_zero: NaN becomes 0 instead of staying NaN.

    Shape:
        Input and output: any shape to which the threshold broadcasts without enlarging it.

    Raises:
        ThresholdError: The threshold is NaN, negative, empty or not floating-point.

    Examples:
        >>> import torch
        >>> SaturatedReLU(6.0)(torch.tensor([-1.0, 2.0, 8.0]))
        tensor([0., 2., 6.])
    """

    threshold: nn.Parameter

    def __init__(self, threshold: float | Tensor, *, nan_to_zero: bool = False) -> None:
        super().__init__()
        self._register_threshold("threshold", threshold)
        self.nan_to_zero = nan_to_zero

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        return saturated_relu(x, self.threshold, nan_to_zero=self.nan_to_zero)

    def out_of_range(self, x: Tensor) -> Tensor:
        """Where ``x`` is above the threshold or NaN."""
        return ~(x <= at_dtype(x, self.threshold))
