"""Thresholds for a wanted sparsity and slope, and their edge of chaos, against the table of the reference."""

import math

import pytest

from clipact._mean_field import Sparsifier, clipped, edge, unclipped
from clipact.errors import SparsityError

# Price et al. (arXiv 2402.16184), computed once more for this table: q* = 1; m, sigma_w^2, sigma_b^2 at slopes .5, .7, .9
TABLE = [
    (False, 0.70, "0.524401", "1.051090 1.446933 2.054007", "4.12493 3.62770 3.38940", "0.465283 0.392832 0.346497"),
    (False, 0.80, "0.841621", "0.891277 1.266670 1.851720", "6.31141 5.47954 5.09002", "0.598287 0.529563 0.483811"),
    (False, 0.85, "1.036433", "0.809528 1.170367 1.739491", "8.50694 7.33482 6.79128", "0.660492 0.595341 0.550802"),
    (False, 0.90, "1.281552", "0.721701 1.063208 1.610550", "12.91574 11.05213 10.19507", "0.722771 0.662819 0.620430"),
    (True, 0.85, "1.439531", "0.672749 1.001626 1.534280", "8.67020 7.38772 6.80000", "0.755358 0.698924 0.658164"),
    (True, 0.90, "1.644854", "0.616756 0.929415 1.442614", "13.10986 11.11670 10.20603", "0.790682 0.738803 0.700324"),
]  # fmt: skip


@pytest.mark.parametrize(("two_sided", "sparsity", "tau", "m", "weights", "biases"), TABLE)
def test_the_table_of_the_reference_to_its_last_digit(two_sided, sparsity, tau, m, weights, biases):
    for slope, m_, weight, bias in zip((0.5, 0.7, 0.9), m.split(), weights.split(), biases.split(), strict=True):  # fmt: skip
        law = clipped("it", sparsity, slope, 1.0, two_sided=two_sided)
        found = edge(law, 1.0, "it")
        assert f"{law.tau:.6f} {law.m:.6f}" == f"{tau} {m_}"
        assert f"{found.weight_variance:.5f} {found.bias_variance:.6f}" == f"{weight} {bias}"
        assert found.slope == pytest.approx(slope, abs=1e-12)
        assert found.chi == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize(
    ("two_sided", "slopes"),
    [
        (False, {0.7: 0.9, 0.8: 0.85, 0.85: 0.75, 0.9: 0.7, 0.95: 0.55}),
        (True, {0.7: 0.75, 0.8: 0.7, 0.85: 0.6, 0.9: 0.55}),
    ],
)
def test_the_default_slope_is_the_largest_with_a_margin(two_sided, slopes):
    for sparsity, slope in slopes.items():
        found = edge(clipped("it", sparsity, None, 3.0, two_sided=two_sided), 3.0, "it")
        assert found.slope == pytest.approx(slope, abs=1e-9)
        assert found.delta >= 2.5


def test_delta_flags_the_failures_that_were_published():
    crelu = edge(clipped("it", 0.85, 0.9, 1.0, two_sided=False), 1.0, "it")
    soft = edge(clipped("it", 0.8, 0.9, 1.0, two_sided=True), 1.0, "it")
    assert f"{crelu.delta:.2f} {soft.delta:.2f}" == "0.49 0.29"


def test_another_variance_only_rescales():
    one = clipped("it", 0.85, 0.7, 1.0, two_sided=False)
    five = clipped("it", 0.85, 0.7, 5.0, two_sided=False)
    assert five.tau / one.tau == pytest.approx(math.sqrt(5), abs=1e-14)
    assert five.m / one.m == pytest.approx(math.sqrt(5), abs=1e-12)
    a, b = edge(one, 1.0, "it"), edge(five, 5.0, "it")
    assert b.weight_variance == pytest.approx(a.weight_variance, rel=1e-12)
    assert b.bias_variance == pytest.approx(5 * a.bias_variance, rel=1e-12)
    assert (b.slope, 5 * b.curvature) == pytest.approx((a.slope, a.curvature), rel=1e-12)


def test_two_sided_is_one_sided_at_the_sparsity_halfway_to_one():
    two = clipped("it", 0.85, 0.7, 1.0, two_sided=True)
    one = clipped("it", 0.925, 0.7, 1.0, two_sided=False)
    a, b = edge(two, 1.0, "it"), edge(one, 1.0, "it")
    assert (two.tau, two.m) == pytest.approx((one.tau, one.m), rel=1e-10)
    assert a.weight_variance == pytest.approx(b.weight_variance / 2, rel=1e-10)
    assert a.bias_variance == pytest.approx(b.bias_variance, rel=1e-10)


def test_a_relu_at_the_edge_is_that_of_he():
    found = edge(unclipped("it", 0.5, None, 2.0, two_sided=False), 2.0, "it")
    assert found.weight_variance == pytest.approx(2.0)
    assert found.bias_variance == 0.0
    assert found.delta == math.inf
    assert found.second_fixed_point is None


def test_the_second_fixed_point_is_one():
    law = clipped("it", 0.9, 0.9, 2.0, two_sided=False)
    found = edge(law, 2.0, "it")
    q = found.second_fixed_point
    assert q == pytest.approx(2 * 1.39895, abs=1e-4)
    assert found.weight_variance * law.second_moment(q) + found.bias_variance == pytest.approx(q)


@pytest.mark.parametrize("slope", [0.02, 0.3, 0.97, 0.9999])
@pytest.mark.parametrize("sparsity", [0.5, 0.6, 0.99, 0.9999])
def test_any_slope_in_its_range_is_met(sparsity, slope):
    found = edge(clipped("it", sparsity, slope, 1.0, two_sided=False), 1.0, "it")
    assert found.slope == pytest.approx(slope, abs=1e-8)
    assert found.bias_variance >= 0.0


@pytest.mark.parametrize("bad", [0.0, 1.0, -0.2, 1.5, math.nan])
def test_a_share_that_is_none(bad):
    with pytest.raises(
        SparsityError, match=r"CReLU was asked for a sparsity of .* between 0 and 1"
    ):
        clipped("CReLU", bad, None, 1.0, two_sided=False)


@pytest.mark.parametrize("bad", [0.0, 1.0, -1.0, 2.0, math.nan])
def test_a_slope_that_is_not_stable(bad):
    with pytest.raises(SparsityError, match="slope between 0 and 1"):
        clipped("CReLU", 0.85, bad, 1.0, two_sided=False)


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_a_variance_that_is_none(bad):
    for choose in (clipped, unclipped):
        with pytest.raises(SparsityError, match="q_star is"):
            choose("CReLU", 0.85, None, bad, two_sided=False)


def test_no_edge_where_the_threshold_would_be_negative():
    with pytest.raises(SparsityError, match=r"tau below 0.* exists from a sparsity of 0\.5 on"):
        unclipped("ShiftedReLU", 0.3, None, 1.0, two_sided=False)
    negative = Sparsifier(-0.5, math.inf, two_sided=False)
    with pytest.raises(
        SparsityError, match=r"no edge of chaos at q_star=1: the bias variance would be -"
    ):
        edge(negative, 1.0, "it")


def test_a_slope_for_what_has_no_clip():
    with pytest.raises(SparsityError, match=r"has no clip .* use CReLU or CST"):
        unclipped("ShiftedReLU", 0.8, 0.7, 1.0, two_sided=False)
