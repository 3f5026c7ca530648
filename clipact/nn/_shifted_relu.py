"""The modules of the activations that are zero up to a threshold."""

from typing import ClassVar, final

import torch.fx
from torch import Tensor, nn

from clipact.functional import shifted_relu, soft_threshold
from clipact.nn._base import Activation

# a symbolic trace of a model records the call instead of looking into it
torch.fx.wrap("shifted_relu")
torch.fx.wrap("soft_threshold")


class _Shifted(Activation):
    """Owns the threshold ``tau``."""

    threshold_names: ClassVar[tuple[str, ...]] = ("tau",)
    tau: nn.Parameter

    def __init__(self, tau: float | Tensor) -> None:
        super().__init__()
        self._register_threshold("tau", tau)

    def out_of_range(self, x: Tensor) -> Tensor:
        """Where ``x`` is NaN: no value is too large."""
        return x.isnan()


@final
class ShiftedReLU(_Shifted):
    r"""The module of :func:`clipact.functional.shifted_relu`.

    Args:
        tau: A number, or a tensor of shape ``(1,)`` (layer), ``(C, 1, 1)`` (channel), ``(C, H, W)`` or ``(F,)`` (neuron).
            It is copied; at least 0.

    Shape:
        Input and output: any shape to which the threshold broadcasts without enlarging it.

    Raises:
        ThresholdError: The threshold is NaN, negative, empty or not floating-point.

    Examples:
        >>> import torch
        >>> ShiftedReLU(1.0)(torch.tensor([-3.0, 1.0, 3.0]))
        tensor([0., 0., 2.])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        return shifted_relu(x, self.tau)


@final
class SoftThreshold(_Shifted):
    r"""The module of :func:`clipact.functional.soft_threshold`.

    Args:
        tau: A number, or a tensor of shape ``(1,)`` (layer), ``(C, 1, 1)`` (channel), ``(C, H, W)`` or ``(F,)`` (neuron).
            It is copied; at least 0.

    Shape:
        Input and output: any shape to which the threshold broadcasts without enlarging it.

    Raises:
        ThresholdError: The threshold is NaN, negative, empty or not floating-point.

    Examples:
        >>> import torch
        >>> SoftThreshold(1.0)(torch.tensor([-3.0, 1.0, 3.0]))
        tensor([-2.,  0.,  2.])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        return soft_threshold(x, self.tau)
