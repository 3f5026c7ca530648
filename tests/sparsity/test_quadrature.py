"""Moments of any activation, against closed forms and against plain Gauss and Hermite nodes where those suffice."""

import math
import warnings

import numpy as np
import pytest
import torch

import clipact as ca
import clipact.functional as F
from clipact.errors import SparsityError, StabilityWarning
from clipact.nn import CST, CReLU, ShiftedReLU, SoftThreshold
from clipact.sparsity import correlation_map, edge_of_chaos, edge_of_chaos_of, variance_map
from clipact.sparsity._elementwise import Elementwise
from clipact.sparsity._quadrature import Quadrature

MOMENTS = (
    "second_moment",
    "second_moment_slope",
    "second_moment_curvature",
    "squared_slope",
    "zeros",
)
FUNCTIONS = {
    CReLU: lambda law: lambda x: F.crelu(x, law.tau, law.m),
    CST: lambda law: lambda x: F.cst(x, law.tau, law.m),
    ShiftedReLU: lambda law: lambda x: F.shifted_relu(x, law.tau),
    SoftThreshold: lambda law: lambda x: F.soft_threshold(x, law.tau),
}
pytestmark = pytest.mark.filterwarnings("ignore::clipact.errors.StabilityWarning")


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_it_equals_the_closed_forms(kind):
    law = edge_of_chaos(kind, 0.85).moments
    found = Quadrature(Elementwise(FUNCTIONS[kind](law)))
    for name in MOMENTS:
        for q in (0.3, 1.0, 7.0):
            assert getattr(found, name)(q) == pytest.approx(getattr(law, name)(q), abs=1e-12), name
    for rho in (-1.0, -0.999, -0.4, 0.0, 0.9, 0.99999, 1.0):
        assert found.product(1.3, rho) == pytest.approx(law.product(1.3, rho), abs=1e-12)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_the_solver_equals_the_closed_solution(kind):
    closed = edge_of_chaos(kind, 0.85, q_star=2.0)
    found = edge_of_chaos_of(FUNCTIONS[kind](closed.moments), q_star=2.0)
    for name in ("sparsity", "sigma_w", "sigma_b", "slope", "curvature", "chi"):
        assert getattr(found, name) == pytest.approx(getattr(closed, name), abs=1e-10), name
    assert found.delta == pytest.approx(closed.delta, abs=1e-8)
    assert (found.tau, found.m) == (None, None)


@pytest.mark.parametrize(
    "function", [torch.tanh, torch.nn.GELU(), torch.nn.functional.silu, torch.sin, torch.nn.Softplus()],
    ids=["tanh", "GELU", "silu", "sin", "Softplus"],
)  # fmt: skip
def test_smooth_activations_equal_nodes_of_hermite(function):
    z, weight = (torch.from_numpy(a).double() for a in np.polynomial.hermite_e.hermegauss(140))
    weight /= weight.sum()
    found = Quadrature(Elementwise(function))
    for q in (0.5, 1.5):
        x = (math.sqrt(q) * z).requires_grad_()
        y = function(x)
        (slope,) = torch.autograd.grad(y.sum(), x)
        assert found.second_moment(q) == pytest.approx((weight * y**2).sum().item(), abs=1e-9)
        assert found.squared_slope(q) == pytest.approx((weight * slope**2).sum().item(), abs=1e-9)
        step = 1e-4 * q
        difference = found.second_moment(q + step) - found.second_moment(q - step)
        assert found.second_moment_slope(q) == pytest.approx(difference / (2 * step), rel=1e-6)
        other = 0.3 * z.unsqueeze(1) + math.sqrt(1 - 0.09) * z
        product = y.unsqueeze(1) * function(math.sqrt(q) * other) * weight.unsqueeze(1) * weight
        assert found.product(q, 0.3) == pytest.approx(product.sum().item(), abs=1e-9)


def test_kinks_and_jumps_are_found_wherever_they_are():
    steps = Quadrature(Elementwise(lambda x: F.zeroed_relu(x, 1.234567)))
    inside = Quadrature(Elementwise(lambda x: F.crelu(x, 0.0, 1.234567)))
    phi = math.exp(-0.5 * 1.234567**2) / math.sqrt(2 * math.pi)
    exact = 0.5 * math.erf(1.234567 / math.sqrt(2)) - 1.234567 * phi
    assert steps.second_moment(1.0) == pytest.approx(exact, abs=1e-12)
    assert inside.squared_slope(1.0) == pytest.approx(0.5 * math.erf(1.234567 / math.sqrt(2)), abs=1e-12)  # fmt: skip
    sharp = Quadrature(Elementwise(lambda x: torch.tanh(300 * (x - 0.777))))
    assert sharp.second_moment(1.0) == pytest.approx(1 - 2 / 300 * math.exp(-0.5 * 0.777**2) / math.sqrt(2 * math.pi), abs=1e-6)  # fmt: skip


def test_a_relu_is_at_the_edge_where_he_put_it():
    point = edge_of_chaos_of(torch.nn.ReLU())
    assert point.sigma_w**2 == pytest.approx(2.0, abs=1e-12)
    assert point.sigma_b == pytest.approx(0.0, abs=1e-6)
    assert point.sparsity == pytest.approx(0.5, abs=1e-12)
    assert point.delta == math.inf


def test_maps_of_any_activation():
    point = edge_of_chaos_of(torch.tanh)
    variances, correlations = variance_map(point), correlation_map(point)
    assert variances(1.0) == pytest.approx(1.0, abs=1e-12)
    assert variances.slope(1.0) == pytest.approx(point.slope)
    assert correlations(1.0) == pytest.approx(1.0, abs=1e-12)
    assert (1 - correlations(0.999)) / 0.001 == pytest.approx(1.0, abs=0.01)


def test_a_module_is_left_as_it_was_and_taken_with_the_parameters_of_now():
    prelu = torch.nn.PReLU(init=0.1)
    module = torch.nn.Sequential(prelu, torch.nn.Dropout(0.5)).train()
    before = prelu.weight.detach().clone()
    point = edge_of_chaos_of(module)
    assert point.sigma_w**2 == pytest.approx(2 / 1.01, rel=1e-6)
    assert module.training
    assert module[1].training
    assert torch.equal(prelu.weight, before)
    assert prelu.weight.grad is None
    with torch.no_grad():
        prelu.weight.fill_(0.9)
    assert variance_map(point)(1.0) == pytest.approx(1.0)


def test_warnings_for_an_activation_that_does_not_hold_its_variance():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        edge_of_chaos_of(torch.tanh)
        with pytest.raises(StabilityWarning, match=r"GELU at .* does not hold its variance"):
            edge_of_chaos_of(torch.nn.GELU())


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (torch.sqrt, r"sqrt is nan at -.*defined and finite on both sides"),
        (torch.log1p, "log1p is nan at -"),
        (torch.sign, "sign has derivative 0 almost everywhere"),
        (torch.nn.Softmax(dim=0), "Softmax is not elementwise"),
        (torch.nn.BatchNorm1d(12), "BatchNorm1d failed on a float64 tensor"),
        (lambda x: x[:3], "not elementwise"),
        (lambda x: x.sum(), "not elementwise"),
        (lambda x: x + 0.1 * torch.rand_like(x), "not elementwise"),
        (lambda x: x.float(), "gives torch.float32 for a float64 tensor"),
        (lambda x: x.bfloat16().double(), "not smooth between a few kinks"),
    ],
)
def test_what_is_no_activation_is_refused(function, message):
    with pytest.raises(SparsityError, match=message):
        edge_of_chaos_of(function)


def test_a_module_of_ours_is_taken_too():
    hyrelu = ca.nn.HyReLU(2.0)
    point = edge_of_chaos_of(hyrelu)
    assert point.slope < 0.5
    assert hyrelu.threshold.dtype is torch.float32
