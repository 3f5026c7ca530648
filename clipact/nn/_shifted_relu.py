"""The modules of the activations that are zero up to a threshold."""

from typing import ClassVar, final

import torch
import torch.fx
from torch import Tensor, nn

from clipact._mean_field import unclipped
from clipact.functional import shifted_relu, soft_threshold
from clipact.nn._base import Activation, at_least_zero

# a symbolic trace of a model records the call instead of looking into it
torch.fx.wrap("shifted_relu")
torch.fx.wrap("soft_threshold")
torch.fx.wrap("at_least_zero")


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
            It is copied; at least 0. Where training pushes it below, it acts as 0, and keeps the gradient it has there, so
            that it can come back.

    Shape:
        Input and output: any shape to which the threshold broadcasts without enlarging it.

    Raises:
        ThresholdError: The threshold is NaN, negative, empty or not floating-point.

    Examples:
        >>> import torch
        >>> ShiftedReLU(1.0)(torch.tensor([-3.0, 1.0, 3.0]))
        tensor([0., 0., 2.])
    """

    @classmethod
    def from_sparsity(
        cls,
        sparsity: float,
        slope: float | None = None,
        q_star: float = 1.0,
        *,
        shape: tuple[int, ...] = (1,),
    ) -> "ShiftedReLU":
        r"""The threshold at which this share of outputs is zero.

        Args:
            sparsity: Share of zeros for Gaussian inputs of mean 0 and variance ``q_star``; in [0.5, 1).
            slope: None. There is no clip to set it with; at the edge of chaos it is 1.
            q_star: Variance of the input; the threshold scales with its root.
            shape: Its granularity: ``(1,)`` for the layer, ``(C, 1, 1)`` a channel.

        Raises:
            SparsityError: Sparsity or ``q_star`` is out of range, or a slope is asked for.

        Examples:
            >>> ShiftedReLU.from_sparsity(0.85)
            ShiftedReLU(tau=1.03643)
        """
        law = unclipped(cls.__name__, sparsity, slope, q_star, two_sided=False)
        return cls(torch.full(shape, law.tau))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        return shifted_relu(x, at_least_zero(self.tau))


@final
class SoftThreshold(_Shifted):
    r"""The module of :func:`clipact.functional.soft_threshold`.

    Args:
        tau: A number, or a tensor of shape ``(1,)`` (layer), ``(C, 1, 1)`` (channel), ``(C, H, W)`` or ``(F,)`` (neuron).
            It is copied; at least 0. Where training pushes it below, it acts as 0, and keeps the gradient it has there, so
            that it can come back.

    Shape:
        Input and output: any shape to which the threshold broadcasts without enlarging it.

    Raises:
        ThresholdError: The threshold is NaN, negative, empty or not floating-point.

    Examples:
        >>> import torch
        >>> SoftThreshold(1.0)(torch.tensor([-3.0, 1.0, 3.0]))
        tensor([-2.,  0.,  2.])
    """

    @classmethod
    def from_sparsity(
        cls,
        sparsity: float,
        slope: float | None = None,
        q_star: float = 1.0,
        *,
        shape: tuple[int, ...] = (1,),
    ) -> "SoftThreshold":
        r"""The threshold at which this share of outputs is zero.

        Args:
            sparsity: Share of zeros for Gaussian inputs of mean 0 and variance ``q_star``; in (0, 1).
            slope: None. There is no clip to set it with; at the edge of chaos it is 1.
            q_star: Variance of the input; the threshold scales with its root.
            shape: Its granularity: ``(1,)`` for the layer, ``(C, 1, 1)`` a channel.

        Raises:
            SparsityError: Sparsity or ``q_star`` is out of range, or a slope is asked for.

        Examples:
            >>> SoftThreshold.from_sparsity(0.85)
            SoftThreshold(tau=1.43953)
        """
        law = unclipped(cls.__name__, sparsity, slope, q_star, two_sided=True)
        return cls(torch.full(shape, law.tau))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        return soft_threshold(x, at_least_zero(self.tau))
