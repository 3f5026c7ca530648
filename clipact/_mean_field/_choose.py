"""The thresholds of a sparsifying activation for a wanted sparsity and slope."""

import math

from clipact._mean_field._edge import check_variance, stability
from clipact._mean_field._normal import quantile
from clipact._mean_field._roots import root
from clipact._mean_field._sparsifier import Sparsifier
from clipact.errors import SparsityError

_SLOPES = [step / 20 for step in range(18, 0, -1)]  # 0.90 down to 0.05
_FAR_ENOUGH = 2.5  # of delta


def unclipped(
    what: str, sparsity: float, slope: float | None, q_star: float, *, two_sided: bool
) -> Sparsifier:
    """With as many zeros as wanted, and no clip.

    Args:
        what: The activation, for the error message.
        sparsity: Share of zeros wanted, in (0, 1); one-sided at least 0.5.
        slope: None: there is no clip to set it with.
        q_star: Variance of the input.
        two_sided: Whether negative inputs pass too, with their sign.

    Raises:
        SparsityError: No threshold gives that.
    """
    check_variance(q_star)
    if slope is not None:
        raise SparsityError(
            f"{what} was asked for a slope of {slope:g}, but it has no clip to set it with; its slope at the edge of chaos"
            " is 1: use CReLU or CST"
        )
    if not 0.0 < sparsity < 1.0:
        raise SparsityError(
            f"{what} was asked for a sparsity of {sparsity:g}; it is a share of zeros: give a number between 0 and 1, such"
            " as 0.85"
        )
    if not two_sided and sparsity < 0.5:
        raise SparsityError(
            f"{what} was asked for a sparsity of {sparsity:g}, which needs a tau below 0, where there is no edge of chaos;"
            " it exists from a sparsity of 0.5 on (SoftThreshold and CST: above 0)"
        )
    tail = (1.0 - sparsity) / (2.0 if two_sided else 1.0)
    tau = math.sqrt(q_star) * abs(quantile(tail))
    return Sparsifier(tau, math.inf, two_sided)


def clipped(
    what: str, sparsity: float, slope: float | None, q_star: float, *, two_sided: bool
) -> Sparsifier:
    """With as many zeros as wanted, and the clip that gives the variance map its slope.

    Args:
        what: The activation, for the error message.
        sparsity: Share of zeros wanted, in (0, 1); one-sided at least 0.5.
        slope: Of the variance map at ``q_star``, in (0, 1); None for the largest multiple of 0.05 up to 0.9 at which delta
            is at least 2.5.
        q_star: Variance of the input.
        two_sided: Whether negative inputs pass too, with their sign.

    Raises:
        SparsityError: No thresholds give that.
    """
    check_variance(q_star)
    tau = unclipped(what, sparsity, None, 1.0, two_sided=two_sided).tau
    if slope is not None and not 0.0 < slope < 1.0:
        raise SparsityError(
            f"{what} was asked for a slope of {slope:g}; the variance map is stable only with a slope between 0 and 1: give"
            " one such as 0.7, or none for the default"
        )
    m = _clip(tau, slope) if slope is not None else _default_clip(tau, two_sided=two_sided)
    scale = math.sqrt(q_star)
    return Sparsifier(scale * tau, scale * m, two_sided)


def _default_clip(tau: float, *, two_sided: bool) -> float:
    for slope in _SLOPES:
        m = _clip(tau, slope)
        law = Sparsifier(tau, m, two_sided)
        if stability(slope, law.second_moment_curvature(1.0) / law.squared_slope(1.0), 1.0) >= (
            _FAR_ENOUGH
        ):
            return m
    return _clip(tau, _SLOPES[-1])


def _clip(tau: float, slope: float) -> float:
    """At variance 1; the slope rises in it from 0 to 1."""

    def excess(m: float) -> float:
        law = Sparsifier(tau, m, two_sided=False)
        return law.second_moment_slope(1.0) / law.squared_slope(1.0) - slope

    high = 1.0
    while excess(high) < 0.0:
        high *= 2.0
    return root(excess, 1e-6, high)
