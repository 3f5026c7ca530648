"""The modules of the activations that are zero up to a threshold and hold their output at another."""

from typing import ClassVar, final

import torch
import torch.fx
from torch import Tensor, nn

from clipact._mean_field import clipped
from clipact.functional import crelu, cst
from clipact.functional._threshold import at_dtype
from clipact.nn._base import Activation, at_least_zero, check_granularities

# a symbolic trace of a model records the call instead of looking into it
torch.fx.wrap("crelu")
torch.fx.wrap("cst")
torch.fx.wrap("at_least_zero")


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
            ``(C, H, W)`` or ``(F,)`` (neuron). It is copied; at least 0. Where training pushes it below, it acts as 0, and
            keeps the gradient it has there, so that it can come back.
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

    @classmethod
    def from_sparsity(
        cls,
        sparsity: float,
        slope: float | None = None,
        q_star: float = 1.0,
        *,
        shape: tuple[int, ...] = (1,),
    ) -> "CReLU":
        r"""The thresholds at which this share of outputs is zero, clipped for stability in depth.

        The initialisation that belongs to them comes from :func:`clipact.sparsity.edge_of_chaos`, which also warns where
        a deep network would be unstable.

        Args:
            sparsity: Share of zeros for Gaussian inputs of mean 0 and variance ``q_star``; in [0.5, 1).
            slope: Of the variance map at the edge of chaos, in (0, 1); by default the largest multiple of 0.05 up to 0.9
                that leaves a margin (``delta`` of at least 2.5).
            q_star: Variance of the input; both thresholds scale with its root.
            shape: Their granularity: ``(1,)`` for the layer, ``(C, 1, 1)`` a channel.

        Raises:
            SparsityError: Sparsity, slope or ``q_star`` is out of range.

        Examples:
            >>> CReLU.from_sparsity(0.85)
            CReLU(tau=1.03643, m=1.2796)
        """
        law = clipped(cls.__name__, sparsity, slope, q_star, two_sided=False)
        return cls(torch.full(shape, law.tau), torch.full(shape, law.m))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        return crelu(x, at_least_zero(self.tau), at_least_zero(self.m))

    def out_of_range(self, x: Tensor) -> Tensor:
        """Where ``x`` is above ``tau + m`` or NaN."""
        tau, m = at_least_zero(self.tau), at_least_zero(self.m)
        return ~(x - at_dtype(x, tau) <= at_dtype(x, m))


@final
class CST(_Clipped):
    r"""The module of :func:`clipact.functional.cst`, the clipped soft threshold.

    Args:
        tau: Where the output starts, on both sides: a number, or a tensor of shape ``(1,)`` (layer), ``(C, 1, 1)``
            (channel), ``(C, H, W)`` or ``(F,)`` (neuron). It is copied; at least 0. Where training pushes it below, it acts
            as 0, and keeps the gradient it has there, so that it can come back.
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

    @classmethod
    def from_sparsity(
        cls,
        sparsity: float,
        slope: float | None = None,
        q_star: float = 1.0,
        *,
        shape: tuple[int, ...] = (1,),
    ) -> "CST":
        r"""The thresholds at which this share of outputs is zero, clipped for stability in depth.

        The initialisation that belongs to them comes from :func:`clipact.sparsity.edge_of_chaos`, which also warns where
        a deep network would be unstable.

        Args:
            sparsity: Share of zeros for Gaussian inputs of mean 0 and variance ``q_star``; in (0, 1).
            slope: Of the variance map at the edge of chaos, in (0, 1); by default the largest multiple of 0.05 up to 0.9
                that leaves a margin (``delta`` of at least 2.5).
            q_star: Variance of the input; both thresholds scale with its root.
            shape: Their granularity: ``(1,)`` for the layer, ``(C, 1, 1)`` a channel.

        Raises:
            SparsityError: Sparsity, slope or ``q_star`` is out of range.

        Examples:
            >>> CST.from_sparsity(0.85)
            CST(tau=1.43953, m=0.826246)
        """
        law = clipped(cls.__name__, sparsity, slope, q_star, two_sided=True)
        return cls(torch.full(shape, law.tau), torch.full(shape, law.m))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        return cst(x, at_least_zero(self.tau), at_least_zero(self.m))

    def out_of_range(self, x: Tensor) -> Tensor:
        """Where the magnitude of ``x`` is above ``tau + m``, or NaN."""
        tau, m = at_least_zero(self.tau), at_least_zero(self.m)
        return ~(x.abs() - at_dtype(x, tau) <= at_dtype(x, m))
