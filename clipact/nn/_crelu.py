"""The modules of the activations that are zero up to a threshold and hold their output at another."""

from typing import ClassVar, final

import torch.fx
from torch import Tensor, nn

from clipact.functional import crelu, cst
from clipact.functional._threshold import at_dtype
from clipact.nn._base import Activation, check_granularities

# a symbolic trace of a model records the call instead of looking into it
torch.fx.wrap("crelu")
torch.fx.wrap("cst")


class _Clipped(Activation):
    """Owns the thresholds ``tau`` and ``m``."""

    threshold_names: ClassVar[tuple[str, ...]] = ("tau", "m")
    tau: nn.Parameter
    m: nn.Parameter

    def __init__(self, tau: float | Tensor, m: float | Tensor) -> None:
        super().__init__()
        self._register_threshold("tau", tau)
        self._register_threshold("m", m)
        check_granularities(type(self).__name__, tau=self.tau, m=self.m)


@final
class CReLU(_Clipped):
    r"""The module of :func:`clipact.functional.crelu`, neither the *concatenated* ReLU of that name nor FATReLU.

    Args:
        tau: Where the output starts: a number, or a tensor of shape ``(1,)`` (layer), ``(C, 1, 1)`` (channel),
            ``(C, H, W)`` or ``(F,)`` (neuron). It is copied; at least 0.
        m: The largest *output*, likewise, of the same granularity or another.

    Shape:
        Input and output: any shape to which both thresholds broadcast without enlarging it.

    Raises:
        ThresholdError: A threshold is NaN, negative, empty or not floating-point, or their shapes fit no common input.

    Examples:
        >>> import torch
        >>> CReLU(1.0, 2.0)(torch.tensor([-3.0, 1.0, 2.0, 9.0]))
        tensor([0., 0., 1., 2.])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        return crelu(x, self.tau, self.m)

    def out_of_range(self, x: Tensor) -> Tensor:
        """Where ``x`` is above ``tau + m`` or NaN."""
        return ~(x - at_dtype(x, self.tau) <= at_dtype(x, self.m))


@final
class CST(_Clipped):
    r"""The module of :func:`clipact.functional.cst`, the clipped soft threshold.

    Args:
        tau: Where the output starts, on both sides: a number, or a tensor of shape ``(1,)`` (layer), ``(C, 1, 1)``
            (channel), ``(C, H, W)`` or ``(F,)`` (neuron). It is copied; at least 0.
        m: The largest magnitude of the *output*, likewise, of the same granularity or another.

    Shape:
        Input and output: any shape to which both thresholds broadcast without enlarging it.

    Raises:
        ThresholdError: A threshold is NaN, negative, empty or not floating-point, or their shapes fit no common input.

    Examples:
        >>> import torch
        >>> CST(1.0, 2.0)(torch.tensor([-9.0, -2.0, 1.0, 9.0]))
        tensor([-2., -1.,  0.,  2.])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        return cst(x, self.tau, self.m)

    def out_of_range(self, x: Tensor) -> Tensor:
        """Where the magnitude of ``x`` is above ``tau + m``, or NaN."""
        return ~(x.abs() - at_dtype(x, self.tau) <= at_dtype(x, self.m))
