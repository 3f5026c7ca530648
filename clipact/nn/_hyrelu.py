"""The module of the smooth zeroed ReLU, whose threshold can be trained."""

import math
from typing import final

import torch.fx
from torch import Tensor, nn

from clipact.errors import ThresholdError
from clipact.functional import hyrelu
from clipact.functional._threshold import at_dtype
from clipact.nn._base import Activation
from clipact.nn._zeroed_relu import ZeroedReLU

# a symbolic trace of a model records the call instead of looking into it
torch.fx.wrap("hyrelu")


@final
class HyReLU(Activation):
    r"""The module of :func:`clipact.functional.hyrelu`: train its threshold, then :meth:`harden` it.

    Args:
        threshold: A number, or a tensor of shape ``(1,)`` (layer), ``(C, 1, 1)`` (channel), ``(C, H, W)`` or ``(F,)``
            (neuron). It is copied; at least 0.
        slope: Slope :math:`k` of the fall, per unit of the input; positive and finite.

    Shape:
        Input and output: any shape to which the threshold broadcasts without enlarging it.

    Raises:
        ThresholdError: The threshold is NaN, negative, empty or not floating-point, or the slope not positive and finite.

    Examples:
        >>> import torch
        >>> act = HyReLU(6.0)
        >>> act(torch.tensor([-1.0, 2.0, 6.0, 8.0])).round(decimals=4)
        tensor([0., 2., 3., 0.])
        >>> act.harden()
        ZeroedReLU(threshold=6)
    """

    threshold: nn.Parameter

    def __init__(self, threshold: float | Tensor, slope: float = 20.0) -> None:
        super().__init__()
        if not 0 < slope < math.inf:
            raise ThresholdError(
                f"HyReLU got a slope of {slope}; it must be positive and finite, for example 20.0"
            )
        self._register_threshold("threshold", threshold)
        self.slope = float(slope)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        return hyrelu(x, self.threshold, self.slope)

    def out_of_range(self, x: Tensor) -> Tensor:
        """Where ``x`` is above the threshold or NaN."""
        return ~(x <= at_dtype(x, self.threshold))

    def harden(self) -> ZeroedReLU:
        """The :class:`ZeroedReLU` with a copy of the same thresholds, at the same position and in the same mode.

        Training can push a threshold below 0, where nothing passes any more; the hard form has 0 there.
        """
        hard = ZeroedReLU(self.threshold.clamp(min=0))
        hard.position = self.position
        return hard.train(self.training)

    def extra_repr(self) -> str:
        """The threshold and the slope."""
        return f"{super().extra_repr()}, slope={self.slope:g}"
