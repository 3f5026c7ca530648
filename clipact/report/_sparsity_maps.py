"""What the layers of a deep network do to variance and correlation, as curves over the diagonal."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from clipact.errors import SparsityError
from clipact.report._style import CURVES, INK, LINE, SOFT, label, legend, picture, verbatim
from clipact.sparsity import EdgeOfChaos
from clipact.sparsity import correlation_map as correlations_of
from clipact.sparsity import variance_map as variances_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = Mapping[str, EdgeOfChaos] | Sequence[EdgeOfChaos] | EdgeOfChaos

_STEPS = 60


def variance_map(points: Points, *, upto: float = 3.0, title: str | None = None) -> "Figure":
    """Draw the variance one layer on against that of a layer, both relative to ``q_star``.

    Where a curve crosses the diagonal, the variance stays; where it crosses from above, it comes back after a disturbance.
    A curve that bends back above the diagonal lets the variance run away from there on: that second crossing is marked.

    Args:
        points: One, several, or several with a name each, from :func:`clipact.sparsity.edge_of_chaos` or
            :func:`clipact.sparsity.edge_of_chaos_of`.
        upto: Largest variance to draw, in units of ``q_star``.
        title: Above the picture, if something else should stand there.

    Returns:
        A matplotlib figure; ``figure.savefig("variance.svg")`` writes it.

    Raises:
        SparsityError: No point, or ``upto`` is not above 1.
        MissingExtraError: matplotlib is not installed.

    Examples:
        >>> from clipact.nn import CReLU
        >>> from clipact.sparsity import edge_of_chaos
        >>> figure = variance_map({"CReLU": edge_of_chaos(CReLU, 0.85)})
    """
    named, ratios = _named(points, "variance_map"), _ratios(upto, "variance_map")
    figure, axes = picture(height=5.2, width=6.4)
    _diagonal(axes, 0.0, upto, "variance stays")
    for place, (name, point) in enumerate(named.items()):
        variances, q = variances_of(point), point.q_star
        _curve(axes, place, name, ratios, lambda r, v=variances, q=q: v(r * q) / q)
        second = point.second_fixed_point
        if second is not None and second <= upto * q:
            axes.plot([second / q], [second / q], "X", color=CURVES[place % len(CURVES)], markersize=9)  # fmt: skip
    axes.plot([1.0], [1.0], "o", color=INK, markersize=7)
    axes.set_xlim(0.0, upto)
    axes.set_ylim(0.0, 1.15 * upto)
    legend(axes)
    label(
        axes,
        "What a layer does to the variance" if title is None else title,
        "variance before an activation, in units of q*",
        "before the next one",
    )
    return figure


def correlation_map(points: Points, *, title: str | None = None) -> "Figure":
    """Draw the correlation of two signals one layer on against that of a layer, at variance ``q_star``.

    At the edge of chaos every curve touches the diagonal at 1 with slope 1: signals come together in depth, but as slowly
    as they can without being scrambled.

    Args:
        points: As for :func:`variance_map`.
        title: Above the picture, if something else should stand there.

    Returns:
        A matplotlib figure.

    Raises:
        SparsityError: No point.
        MissingExtraError: matplotlib is not installed.

    Examples:
        >>> from clipact.nn import CST
        >>> from clipact.sparsity import edge_of_chaos
        >>> figure = correlation_map(edge_of_chaos(CST, 0.85))
    """
    named = _named(points, "correlation_map")
    figure, axes = picture(height=5.2, width=6.4)
    _diagonal(axes, -1.0, 1.0, "correlation stays")
    for place, (name, point) in enumerate(named.items()):
        at = [-1.0 + 2.0 * step / _STEPS for step in range(_STEPS + 1)]
        _curve(axes, place, name, at, correlations_of(point))
    axes.set_xlim(-1.0, 1.0)
    legend(axes)
    label(
        axes,
        "What a layer does to the correlation of two signals" if title is None else title,
        "correlation before an activation",
        "before the next one",
    )
    return figure


def slope_map(points: Points, *, upto: float = 3.0, title: str | None = None) -> "Figure":
    r"""Draw by what a layer multiplies deviations of the variance, and gradients, against the variance of the signal.

    Solid is :math:`V'(q)`: below 1, noise in the variance dies out. Dotted is :math:`\chi_1(q)`, the factor of the squared
    length of a gradient: at the edge of chaos it is 1 at :math:`q^*`.

    Args:
        points: As for :func:`variance_map`.
        upto: Largest variance to draw, in units of ``q_star``.
        title: Above the picture, if something else should stand there.

    Returns:
        A matplotlib figure.

    Raises:
        SparsityError: No point, or ``upto`` is not above 1.
        MissingExtraError: matplotlib is not installed.
    """
    named, ratios = _named(points, "slope_map"), _ratios(upto, "slope_map")
    figure, axes = picture(height=5.2, width=6.4)
    axes.axhline(1.0, color=SOFT, linestyle="--", linewidth=1)
    axes.grid(visible=True, color=LINE, linewidth=0.8)
    for place, (name, point) in enumerate(named.items()):
        variances, q = variances_of(point), point.q_star
        _curve(axes, place, name, ratios, lambda r, v=variances, q=q: v.slope(r * q))
        chi = [variances.chi(r * q) for r in ratios]
        axes.plot(ratios, chi, color=CURVES[place % len(CURVES)], linewidth=1.2, linestyle=":")
    axes.plot([1.0], [1.0], "o", color=INK, markersize=7)
    axes.set_xlim(0.0, upto)
    legend(axes)
    label(
        axes,
        "What a layer does to deviations and gradients" if title is None else title,
        "variance before an activation, in units of q*",
        "slope V'(q), and dotted chi_1(q)",
    )
    return figure


def _ratios(upto: float, asked: str) -> list[float]:
    if not upto > 1.0:
        raise SparsityError(f"{asked}() was asked for variances up to {upto:g} q*; draw beyond 1")
    return [upto * step / _STEPS for step in range(1, _STEPS + 1)]


def _named(points: Points, asked: str) -> dict[str, EdgeOfChaos]:
    if isinstance(points, EdgeOfChaos):
        points = [points]
    if isinstance(points, Mapping):
        named = dict(points)
    else:
        named = {f"{_name(point)}, point {i + 1}": point for i, point in enumerate(points)}
        if len(named) == 1:
            named = {_name(point): point for point in points}
    if not named:
        raise SparsityError(f"{asked}() got no point; give at least one, from edge_of_chaos()")
    return named


def _name(point: EdgeOfChaos) -> str:
    return str(getattr(point.kind, "__name__", type(point.kind).__name__))


def _diagonal(axes: "Axes", low: float, high: float, name: str) -> None:
    axes.plot([low, high], [low, high], color=SOFT, linestyle="--", linewidth=1, label=name)
    axes.grid(visible=True, color=LINE, linewidth=0.8)


def _curve(
    axes: "Axes", place: int, name: str, at: list[float], function: Callable[[float], float]
) -> None:
    colour = CURVES[place % len(CURVES)]
    axes.plot(at, [function(x) for x in at], color=colour, linewidth=1.8, label=verbatim(name))
