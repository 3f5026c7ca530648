"""The edge of chaos: where a wide random network neither forgets nor scrambles what it was given."""

import math
from dataclasses import dataclass
from typing import final

from clipact._mean_field._moments import Moments
from clipact._mean_field._roots import root
from clipact.errors import SparsityError

_PER_DECADE, _DECADES = 40, 3


@final
@dataclass(frozen=True)
class Edge:
    r"""A network at the edge of chaos: :math:`V(q^*) = q^*` and :math:`\chi_1(q^*) = 1`.

    Attributes:
        weight_variance: Of the weights, times the fan-in.
        bias_variance: Of the biases.
        slope: :math:`V'(q^*)`.
        curvature: :math:`V''(q^*)`.
        chi: :math:`\chi_1(q^*)`.
        delta: Relative distance to where the map, taken as a parabola, crosses the diagonal again.
        second_fixed_point: Variance at which the map really does so, up to 1000 :math:`q^*`; None if nowhere.
    """

    weight_variance: float
    bias_variance: float
    slope: float
    curvature: float
    chi: float
    delta: float
    second_fixed_point: float | None


def edge(moments: Moments, q_star: float, what: str) -> Edge:
    """The edge of chaos of an activation at a variance.

    Args:
        moments: Of the activation.
        q_star: The variance that shall stay.
        what: The activation, for the error message.

    Raises:
        SparsityError: ``q_star`` is not positive and finite, or there is no edge at it.
    """
    check_variance(q_star)
    passed = moments.squared_slope(q_star)
    if not passed > 0.0:
        raise SparsityError(
            f"{what} has derivative 0 almost everywhere around inputs of variance {q_star:g}, so that no weights pass a"
            " gradient on; take an activation that is not flat there"
        )
    weight = 1.0 / passed
    bias = q_star - weight * moments.second_moment(q_star)
    if bias < -1e-12 * q_star:
        raise SparsityError(
            f"{what} has no edge of chaos at q_star={q_star:g}: the bias variance would be {bias:g}; take another q_star,"
            " or an activation with more zeros (unclipped one-sided ones need a sparsity of at least 0.5)"
        )
    bias = max(bias, 0.0)
    slope = weight * moments.second_moment_slope(q_star)
    curvature = weight * moments.second_moment_curvature(q_star)
    return Edge(
        weight,
        bias,
        slope,
        curvature,
        weight * passed,
        stability(slope, curvature, q_star),
        _second_fixed_point(moments, q_star, weight, bias),
    )


def stability(slope: float, curvature: float, q_star: float) -> float:
    """Delta, from slope and curvature of the variance map at its fixed point."""
    if curvature * q_star <= 1e-12:
        return math.inf if slope <= 1.0 + 1e-9 else -math.inf
    return 2.0 * (1.0 - slope) / (q_star * curvature)


def check_variance(q_star: float) -> None:
    """Refuse a variance that is none.

    Raises:
        SparsityError: It is not positive and finite.
    """
    if not 0.0 < q_star < math.inf:
        raise SparsityError(
            f"q_star is {q_star:g}; it is the variance of what goes into an activation: give a positive number such as 1.0"
        )


def _second_fixed_point(
    moments: Moments, q_star: float, weight: float, bias: float
) -> float | None:
    """The first one above ``q_star``."""

    def gain(q: float) -> float:
        return weight * moments.second_moment(q) + bias - q

    low = q_star * (1.0 + 1e-3)
    rising = gain(low) > 1e-9 * low
    for step in range(1, _PER_DECADE * _DECADES + 1):
        high = q_star * 10.0 ** (step / _PER_DECADE)
        value = gain(high)
        if abs(value) > 1e-9 * high and (value > 0.0) != rising:
            return root(gain, low, high)
        low = high
    return None
