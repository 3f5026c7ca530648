"""An initialisation at the edge of chaos."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor, nn

from clipact._mean_field import Moments
from clipact._text import aligned
from clipact.errors import SparsityError
from clipact.nn import CST, CReLU, ShiftedReLU, SoftThreshold

Kind = type[CReLU] | type[CST] | type[ShiftedReLU] | type[SoftThreshold]


@final
@dataclass(frozen=True)
class EdgeOfChaos:
    r"""An activation with the weights and biases that keep signal and gradient alive in depth.

    Weights are drawn with variance :math:`\sigma_w^2/\text{fan-in}`, biases with :math:`\sigma_b^2`; then a signal of
    variance :math:`q^*` keeps it from layer to layer, and so does the gradient its length.

    Attributes:
        kind: The class of the activation, or the activation itself where it has no such class.
        sparsity: Share of activations that are exactly zero.
        q_star: Variance of what goes into each activation.
        tau: Where its output starts; None for an activation without.
        m: Its largest output, infinity without a clip; None for an activation without thresholds.
        sigma_w: Standard deviation of the weights, times the root of the fan-in.
        sigma_b: Standard deviation of the biases.
        slope: :math:`V'(q^*)` of the variance map: by what a deviation of the variance is multiplied, layer by layer.
        curvature: :math:`V''(q^*)`.
        chi: :math:`\chi_1(q^*)`, by what the squared length of a gradient is multiplied: 1.
        delta: :math:`2(1 - V')/(q^* V'')`: how far, relative to :math:`q^*`, the variance may rise before it runs away;
            infinity without such a distance. Below 1 is risky.
        second_fixed_point: The variance at which the map crosses the diagonal again, up to 1000 :math:`q^*`, or None.
    """

    kind: Kind | Callable[[Tensor], Tensor]
    sparsity: float
    q_star: float
    tau: float | None
    m: float | None
    sigma_w: float
    sigma_b: float
    slope: float
    curvature: float
    chi: float
    delta: float
    second_fixed_point: float | None
    moments: Moments = field(repr=False, compare=False)

    def activation(self, *, shape: tuple[int, ...] = (1,)) -> nn.Module:
        """A new module of this kind with these thresholds.

        Args:
            shape: The granularity of its thresholds: ``(1,)`` for the layer, ``(C, 1, 1)`` a channel.

        Raises:
            SparsityError: The point is of an activation that has no class here: use that activation itself.
        """
        if self.tau is None or self.m is None:
            raise SparsityError(
                f"a point of {self._name()} has no thresholds to build an activation from; use that activation itself"
            )
        tau, m = torch.full(shape, self.tau), torch.full(shape, self.m)
        if self.kind is CReLU:
            return CReLU(tau, m)
        if self.kind is CST:
            return CST(tau, m)
        return SoftThreshold(tau) if self.kind is SoftThreshold else ShiftedReLU(tau)

    def _name(self) -> str:
        return getattr(self.kind, "__name__", type(self.kind).__name__)

    def __str__(self) -> str:
        """As a table."""
        second = self.second_fixed_point
        rows = [
            ("sparsity", f"{self.sparsity:.4g}"),
            ("q*", f"{self.q_star:.6g}"),
            ("tau", "none" if self.tau is None else f"{self.tau:.6f}"),
            ("m", "none" if self.m is None or math.isinf(self.m) else f"{self.m:.6f}"),
            ("sigma_w", f"{self.sigma_w:.6f}"),
            ("sigma_b", f"{self.sigma_b:.6f}"),
            ("slope V'(q*)", f"{self.slope:.4f}"),
            ("curvature V''(q*)", f"{self.curvature:.4f}"),
            ("chi_1(q*)", f"{self.chi:.4f}"),
            ("delta", f"{self.delta:.3g}"),
            ("second fixed point", "none" if second is None else f"{second:.4g}"),
        ]
        return aligned((self._name(), "edge of chaos"), rows)
