"""Variance and correlation maps of a point, against a wide random layer."""

import math

import pytest
import torch

from clipact.nn import CST, CReLU
from clipact.sparsity import correlation_map, edge_of_chaos, variance_map


@pytest.mark.parametrize("kind", [CReLU, CST])
def test_the_fixed_point_and_its_slopes(kind):
    point = edge_of_chaos(kind, 0.85, q_star=2.0)
    variances = variance_map(point)
    assert variances(2.0) == pytest.approx(2.0, abs=1e-13)
    assert variances.slope(2.0) == pytest.approx(point.slope)
    assert variances.curvature(2.0) == pytest.approx(point.curvature)
    assert variances.chi(2.0) == pytest.approx(1.0)
    assert variances.sparsity(2.0) == pytest.approx(0.85)
    for q in (0.5, 2.0, 6.0):
        step = 1e-4
        ahead, here, behind = variances(q + step), variances(q), variances(q - step)
        assert variances.slope(q) == pytest.approx((ahead - behind) / (2 * step), rel=1e-6)
        assert variances.curvature(q) == pytest.approx(
            (ahead - 2 * here + behind) / step**2, abs=1e-5
        )


def test_through_goes_layer_by_layer_to_the_fixed_point():
    variances = variance_map(edge_of_chaos(CReLU, 0.85))
    path = variances.through(1.5, layers=60)
    assert len(path) == 60
    assert path[:3] == [1.5, variances(1.5), variances(variances(1.5))]
    assert path[-1] == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("kind", [CReLU, CST])
def test_a_wide_layer_does_what_the_maps_say(kind):
    point = edge_of_chaos(kind, 0.85)
    generator = torch.Generator().manual_seed(0)
    width, q, rho = 4000, 1.4, 0.6
    first, other = torch.randn(2, width, generator=generator)
    signals = math.sqrt(q) * torch.stack([first, rho * first + math.sqrt(1 - rho**2) * other])
    outputs = point.activation()(signals)
    weights = torch.randn(width, width, generator=generator) * point.sigma_w / math.sqrt(width)
    biases = torch.randn(width, generator=generator) * point.sigma_b
    after = outputs @ weights.T + biases
    square = after.square().mean(1)
    expected = variance_map(point)(q)
    assert square.tolist() == pytest.approx([expected] * 2, rel=0.1)
    found = (after[0] * after[1]).mean() / square.prod().sqrt()
    assert found.item() == pytest.approx(correlation_map(point, q)(rho), abs=0.04)


def test_correlations_come_together_at_the_edge_and_no_faster_than_they_must():
    correlations = correlation_map(edge_of_chaos(CReLU, 0.85))
    assert correlations(1.0) == pytest.approx(1.0, abs=1e-13)
    values = [correlations(c) for c in (-1.0, -0.5, 0.0, 0.5, 0.9)]
    assert values == sorted(values)
    assert all(after > before for before, after in zip((-1.0, -0.5, 0.0, 0.5, 0.9), values, strict=True))  # fmt: skip
    assert (1 - correlations(1 - 1e-9)) / 1e-9 == pytest.approx(1.0, abs=1e-3)


def test_two_sided_activations_keep_opposites_apart():
    point = edge_of_chaos(CST, 0.85)
    correlations = correlation_map(point)
    assert correlations(-0.7) + correlations(0.7) == pytest.approx(2 * point.sigma_b**2)
