"""The edge of chaos of the sparsifying activations, in closed form."""

import math
import warnings

from clipact._mean_field import Sparsifier, clipped, edge, unclipped
from clipact.errors import SparsityError, StabilityWarning
from clipact.nn import CST, CReLU, ShiftedReLU, SoftThreshold
from clipact.sparsity._point import EdgeOfChaos, Kind

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
    found = edge(law, q_star, kind.__name__)
    point = EdgeOfChaos(
        kind,
        sparsity,
        q_star,
        law.tau,
        law.m,
        math.sqrt(found.weight_variance),
        math.sqrt(found.bias_variance),
        found.slope,
        found.curvature,
        found.chi,
        found.delta,
        found.second_fixed_point,
        law,
    )
    warn_if_unstable(point, kind.__name__, stacklevel=3)
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


def warn_if_unstable(point: EdgeOfChaos, name: str, *, stacklevel: int) -> None:
    """Say what may happen in depth, and what to change.

    Args:
        point: What to judge.
        name: What its activation is called.
        stacklevel: Of the warning.
    """
    second, limit = point.second_fixed_point, _NEAR * point.q_star
    if point.m == math.inf and point.delta < 1.0:
        found = "has no clip: its variance map touches the diagonal from above, and noise of finite width makes deep networks explode"
        remedy = "use CReLU or CST, or keep the network shallow"
    elif point.delta < 1.0:
        found = f"has delta {point.delta:.2g}, below 1: the variance may run away in depth"
        remedy = "lower the slope, or the sparsity; slope=None chooses a safe one"
    elif second is not None and second < limit:
        found = f"has a second fixed point at variance {second:.3g}, below 10 q* = {limit:.3g}: the variance may settle or run away there"
        remedy = "lower the slope, or the sparsity"
    else:
        return
    at = f"{name} at sparsity {point.sparsity:.4g}, slope {point.slope:.3g}"
    warnings.warn(f"{at} {found}; {remedy}", StabilityWarning, stacklevel=stacklevel)
