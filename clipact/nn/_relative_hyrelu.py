"""The module of the smooth zeroed ReLU whose slope is measured by its threshold."""

import math
from typing import final

import torch.fx
from torch import Tensor, nn

from clipact.errors import ThresholdError
from clipact.functional import relative_hyrelu
from clipact.functional._threshold import at_dtype
from clipact.nn._base import Activation
from clipact.nn._zeroed_relu import ZeroedReLU

# a symbolic trace of a model records the call instead of looking into it
torch.fx.wrap("relative_hyrelu")


@final
class RelativeHyReLU(Activation):
    r"""The module of :func:`clipact.functional.relative_hyrelu`: train its threshold, then :meth:`harden` it.

    Args:
        threshold: As for :class:`HyReLU`.
        slope: Slope :math:`k` of the fall, per threshold; at least 1 and finite. The attribute may be changed while
            the threshold is trained.

    Shape:
        Input and output: any shape to which the threshold broadcasts without enlarging it.

    Raises:
        ThresholdError: The threshold is NaN, negative, empty or not floating-point, or the slope below 1 or not finite.

    Examples:
        >>> import torch
        >>> act = RelativeHyReLU(0.2)
        >>> act(torch.tensor([-1.0, 0.1, 0.2, 0.4])).round(decimals=4)
        tensor([0.0000, 0.1000, 0.1000, 0.0000])
        >>> act.harden()
        ZeroedReLU(threshold=0.2)
    """

    threshold: nn.Parameter

    def __init__(self, threshold: float | Tensor, slope: float = 20.0) -> None:
        super().__init__()
        if not 1 <= slope < math.inf:
            raise ThresholdError(
                f"RelativeHyReLU got a slope of {slope}; it must be at least 1 and finite, for example 20.0"
            )
        self._register_threshold("threshold", threshold)
        self.slope = float(slope)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        return relative_hyrelu(x, self.threshold, self.slope)

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
