"""The edge of chaos: of the sparsifying activations in closed form, of any other by quadrature."""

import math
import warnings
from collections.abc import Callable

from torch import Tensor

from clipact._mean_field import Moments, Sparsifier, check_variance, clipped, edge, unclipped
from clipact.errors import SparsityError, StabilityWarning
from clipact.nn import CST, CReLU, ShiftedReLU, SoftThreshold
from clipact.sparsity._elementwise import Elementwise
from clipact.sparsity._point import EdgeOfChaos, Kind
from clipact.sparsity._quadrature import Quadrature

_NEAR = 10.0  # times q*


def edge_of_chaos(
    kind: Kind, sparsity: float, slope: float | None = None, q_star: float = 1.0
) -> EdgeOfChaos:
    r"""The thresholds and the initialisation that keep a deep network sparse and trainable.

    :math:`\tau` follows from the sparsity, the clip :math:`m` from the slope of the variance map, the weights from
    :math:`\chi_1(q^*) = 1`, the biases from :math:`V(q^*) = q^*`.

    A network at :math:`q^*` is, exactly, the one at 1 with its logits times :math:`\sqrt{q^*}` and the learning rates of
    biases, thresholds and first layer divided by :math:`q^*`. A larger :math:`q^*` is therefore a way to train faster, not
    another network.

    Args:
        kind: ``clipact.nn.CReLU``, ``CST``, ``ShiftedReLU`` or ``SoftThreshold``: the class.
        sparsity: Share of zeros, in (0, 1); at least 0.5 for the one-sided ones.
        slope: :math:`V'(q^*)`, in (0, 1), for the clipped ones. The default is the largest multiple of 0.05 up to 0.9 at
            which ``delta`` is at least 2.5.
        q_star: Variance :math:`q^*` of what goes into each activation; positive.

    Returns:
        The point; ``print`` shows it as a table.

    Raises:
        SparsityError: ``kind`` is not one of the four, sparsity, slope or ``q_star`` is out of range, or there is no edge.

    Warns:
        StabilityWarning: The signal may run away in depth: no clip, ``delta`` below 1, or a second fixed point near.

    References:
        Price et al., "Deep neural network initialization with sparsity inducing activations", ICLR 2024, arXiv 2402.16184.

    Examples:
        >>> from clipact.nn import CReLU
        >>> point = edge_of_chaos(CReLU, sparsity=0.85)
        >>> f"{point.tau:.4f} {point.m:.4f} {point.sigma_w**2:.4f} {point.sigma_b**2:.4f} {point.slope:.2f}"
        '1.0364 1.2796 7.1571 0.5824 0.75'
    """
    law = _thresholds(kind, sparsity, slope, q_star)
    return _point(kind, sparsity, q_star, (law.tau, law.m), law)


def edge_of_chaos_of(activation: Callable[[Tensor], Tensor], q_star: float = 1.0) -> EdgeOfChaos:
    r"""The initialisation that keeps signal and gradient alive in depth, for any elementwise activation.

    The expectations are computed by quadrature between the activation's kinks, which are found by themselves; the
    derivative is the one that autograd gives. For the sparsifying activations, :func:`edge_of_chaos` does it in closed form
    and chooses their thresholds.

    Args:
        activation: Of a float64 tensor, elementwise: ``torch.nn.GELU()``, ``torch.nn.functional.silu``, your own. A module
            is taken with the parameters that it has now, and stays as it is.
        q_star: Variance :math:`q^*` of what goes into each activation; positive.

    Returns:
        The point, without ``tau`` and ``m``.

    Raises:
        SparsityError: The activation is not elementwise, not defined and finite on both sides of 0, or flat, ``q_star`` is
            not positive, or there is no edge at it.

    Warns:
        StabilityWarning: The signal may run away in depth.

    Examples:
        >>> import torch
        >>> point = edge_of_chaos_of(torch.tanh)
        >>> f"{point.sigma_w**2:.4f} {point.sigma_b**2:.4f} {point.slope:.4f}"
        '2.1533 0.1510 0.3915'
    """
    function = Elementwise(activation)
    moments = Quadrature(function)
    check_variance(q_star)
    sparsity = max(moments.zeros(q_star), 0.0)
    return _point(activation, sparsity, q_star, (None, None), moments)


def _point(
    kind: Kind | Callable[[Tensor], Tensor],
    sparsity: float,
    q_star: float,
    thresholds: tuple[float | None, float | None],
    moments: Moments,
) -> EdgeOfChaos:
    name = str(getattr(kind, "__name__", type(kind).__name__))
    found = edge(moments, q_star, name)
    point = EdgeOfChaos(
        kind,
        sparsity,
        q_star,
        *thresholds,
        math.sqrt(found.weight_variance),
        math.sqrt(found.bias_variance),
        found.slope,
        found.curvature,
        found.chi,
        found.delta,
        found.second_fixed_point,
        moments,
    )
    _warn_if_unstable(point, name)
    return point


def _thresholds(kind: Kind, sparsity: float, slope: float | None, q_star: float) -> Sparsifier:
    if kind is CReLU or kind is CST:
        return clipped(kind.__name__, sparsity, slope, q_star, two_sided=kind is CST)
    if kind is ShiftedReLU or kind is SoftThreshold:
        return unclipped(kind.__name__, sparsity, slope, q_star, two_sided=kind is SoftThreshold)
    raise SparsityError(
        f"edge_of_chaos() got {kind!r} as kind; give the class CReLU, CST, ShiftedReLU or SoftThreshold of clipact.nn, or"
        " use edge_of_chaos_of() for any other activation"
    )


def _warn_if_unstable(point: EdgeOfChaos, name: str) -> None:
    """Say what may happen in depth, and what to change."""
    second, limit = point.second_fixed_point, _NEAR * point.q_star
    if point.m == math.inf and point.delta < 1.0:
        found = (
            "has no clip: its variance map touches the diagonal from above, and the noise of finite"
            " width makes deep networks explode; use CReLU or CST, or keep the network shallow"
        )
    elif point.m is None and point.slope >= 1.0 and point.delta < 1.0:
        found = (
            "does not hold its variance there: deviations grow with depth; normalise between the layers, keep the network"
            " shallow, or take an activation that is bounded"
        )
    elif point.delta < 1.0:
        found = (
            f"has delta {point.delta:.2g}, below 1: the variance may run away in depth; lower the slope or the sparsity, or"
            " leave the slope out for a safe one"
        )
    elif second is not None and second < limit:
        found = (
            f"has a second fixed point at variance {second:.3g}, below 10 q* = {limit:.3g}, where the variance may run away;"
            " lower the slope or the sparsity"
        )
    else:
        return
    at = f"{name} at sparsity {point.sparsity:.4g}, slope {point.slope:.3g}"
    warnings.warn(f"{at} {found}", StabilityWarning, stacklevel=4)
