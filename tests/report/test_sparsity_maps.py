"""Pictures of variance and correlation maps: the curves are the maps, the marks the fixed points."""

import pytest

from clipact.errors import SparsityError
from clipact.nn import CST, CReLU, ShiftedReLU
from clipact.report import correlation_map, slope_map, variance_map
from clipact.sparsity import correlation_map as correlations_of
from clipact.sparsity import edge_of_chaos
from clipact.sparsity import variance_map as variances_of

pytestmark = pytest.mark.filterwarnings("ignore::clipact.errors.StabilityWarning")


def line(axes, name):
    return next(found for found in axes.get_lines() if found.get_label() == name)


def test_variance_curves_are_the_map_in_units_of_the_fixed_point():
    points = {
        "safe": edge_of_chaos(CReLU, 0.85, q_star=5.0),
        "_risky$": edge_of_chaos(CST, 0.9, 0.9),
    }
    (axes,) = variance_map(points, upto=2.0, title="Here").axes
    curve = line(axes, "safe")
    expected = [variances_of(points["safe"])(5.0 * x) / 5.0 for x in curve.get_xdata()]
    assert curve.get_ydata() == pytest.approx(expected)
    assert curve.get_xdata()[-1] == 2.0
    assert axes.get_title(loc="left") == "Here"
    marks = [m.get_xdata()[0] for m in axes.get_lines() if m.get_marker() == "X"]
    assert marks == pytest.approx([points["_risky$"].second_fixed_point])
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["variance stays", "safe", r" _risky\$"]  # fmt: skip


def test_correlation_curves_are_the_map():
    point = edge_of_chaos(CST, 0.85)
    (axes,) = correlation_map(point).axes
    curve = line(axes, "CST")
    expected = [correlations_of(point)(x) for x in curve.get_xdata()]
    assert curve.get_ydata() == pytest.approx(expected)
    assert (curve.get_xdata()[0], curve.get_xdata()[-1]) == (-1.0, 1.0)


def test_slope_curves_are_slope_and_chi():
    point = edge_of_chaos(CReLU, 0.85, q_star=2.0)
    (axes,) = slope_map(point, upto=2.0).axes
    curve, variances = line(axes, "CReLU"), variances_of(point)
    assert curve.get_ydata() == pytest.approx([variances.slope(2.0 * x) for x in curve.get_xdata()])
    dotted = next(found for found in axes.get_lines() if found.get_linestyle() == ":")
    assert dotted.get_ydata() == pytest.approx([variances.chi(2.0 * x) for x in curve.get_xdata()])


def test_points_without_names_are_named_by_their_activation():
    (axes,) = variance_map([edge_of_chaos(CReLU, 0.85), edge_of_chaos(ShiftedReLU, 0.85)]).axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names[1:] == ["CReLU, point 1", "ShiftedReLU, point 2"]


def test_what_cannot_be_drawn():
    with pytest.raises(SparsityError, match=r"correlation_map\(\) got no point"):
        correlation_map([])
    with pytest.raises(SparsityError, match=r"variance_map\(\) got no point"):
        variance_map({})
    with pytest.raises(SparsityError, match="draw beyond 1"):
        variance_map(edge_of_chaos(CReLU, 0.85), upto=1.0)
