"""The variance map and the correlation map of a point."""

from clipact._mean_field import CorrelationMap, VarianceMap
from clipact.sparsity._point import EdgeOfChaos


def variance_map(point: EdgeOfChaos) -> VarianceMap:
    r"""What each layer does to the variance of the signal.

    Args:
        point: From :func:`edge_of_chaos` or :func:`edge_of_chaos_of`.

    Returns:
        A function of the variance, with ``slope``, ``curvature``, ``chi``, ``sparsity`` and ``through``.

    Examples:
        >>> from clipact.nn import CReLU
        >>> from clipact.sparsity import edge_of_chaos
        >>> variances = variance_map(edge_of_chaos(CReLU, 0.85))
        >>> f"{variances(1.0):.3f} {variances(1.2):.3f} {variances.slope(1.0):.3f}"
        '1.000 1.151 0.750'
        >>> [round(q, 2) for q in variances.through(1.5, layers=5)]
        [1.5, 1.37, 1.28, 1.21, 1.16]
    """
    return VarianceMap(point.moments, point.sigma_w, point.sigma_b)


def correlation_map(point: EdgeOfChaos, q: float | None = None) -> CorrelationMap:
    r"""What each layer does to the correlation of two signals.

    Args:
        point: From :func:`edge_of_chaos` or :func:`edge_of_chaos_of`.
        q: The variance of both signals; :math:`q^*` by default.

    Returns:
        A function of the correlation.

    Examples:
        >>> from clipact.nn import CReLU
        >>> from clipact.sparsity import edge_of_chaos
        >>> correlations = correlation_map(edge_of_chaos(CReLU, 0.85))
        >>> f"{correlations(0.0):.3f} {correlations(0.5):.3f} {correlations(1.0):.3f}"
        '0.622 0.735 1.000'
    """
    return CorrelationMap(variance_map(point), point.q_star if q is None else q)
