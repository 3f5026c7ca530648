"""Thresholds that follow each row: shares, equivariance, gradients, layouts, what is refused."""

import math

import numpy as np
import pytest
import torch

from clipact import nn
from clipact.errors import SparsityError, ThresholdError
from clipact.functional import shifted_relu, statistical_threshold

Z85 = 1.0364333894937896


def sample(*shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def reference(x, s_quantile, m, axis):
    mean, std = x.mean(axis, keepdims=True), x.std(axis, keepdims=True)
    return np.clip(x - mean - s_quantile * std, 0, m * std)


@pytest.mark.parametrize("dims", [-1, (-3, -2, -1), 1, (2, 3)])
@pytest.mark.parametrize("m", [math.inf, 0.7])
def test_it_is_its_definition(dims, m):
    x = 3 * sample(4, 5, 6, 7) + 2
    expected = reference(x.numpy(), Z85, m, dims)
    found = statistical_threshold(x, 0.85, m, dims=dims)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    tensor = statistical_threshold(x, 0.85, torch.full((5, 1, 1), m, dtype=x.dtype), dims=dims)
    np.testing.assert_allclose(tensor.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(("sparsity", "scale", "shift"), [(0.3, 1, 0), (0.85, 9, -40), (0.9, 0.01, 5)])  # fmt: skip
def test_the_share_is_kept_whatever_mean_and_variance(sparsity, scale, shift):
    x = scale * sample(20, 50_000) + shift
    zeros = (statistical_threshold(x, sparsity, 1.0) == 0).double().mean(1)
    assert zeros.tolist() == pytest.approx([sparsity] * 20, abs=0.01)


def test_rows_are_scaled_as_they_are():
    x = sample(8, 40)
    plain = statistical_threshold(x, 0.7, 0.9)
    torch.testing.assert_close(statistical_threshold(5 * x + 3, 0.7, 0.9), 5 * plain)


@pytest.mark.parametrize("m", [math.inf, 0.8])
def test_gradients_of_first_and_second_order(m):
    x = sample(3, 12).requires_grad_()
    thresholds = torch.tensor([m], dtype=torch.float64, requires_grad=m < math.inf)
    inputs = (x, thresholds)
    assert torch.autograd.gradcheck(lambda x, m: statistical_threshold(x, 0.6, m), inputs)
    assert torch.autograd.gradgradcheck(lambda x, m: statistical_threshold(x, 0.6, m), inputs)


def test_a_clip_a_channel_has_its_own_gradient():
    x, m = sample(2, 3, 4, 5), torch.tensor([0.2, 0.5, 9.0], dtype=torch.float64).reshape(3, 1, 1)
    m.requires_grad_()
    statistical_threshold(x, 0.5, m, dims=(-3, -2, -1)).sum().backward()
    std = x.std((1, 2, 3), correction=0, keepdim=True)
    above = (x - x.mean((1, 2, 3), keepdim=True)) / std >= m
    expected = (above * std).sum((0, 2, 3)).reshape(3, 1, 1)
    torch.testing.assert_close(m.grad, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_shape_dtype_and_layout_are_kept(dtype):
    x = sample(2, 3, 4, 5, dtype=dtype).to(memory_format=torch.channels_last)
    before = x.clone()
    y = statistical_threshold(x, 0.6, 1.0, dims=(-3, -2, -1))
    assert (y.dtype, y.shape) == (dtype, x.shape)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(x, before)
    double = statistical_threshold(x.double(), 0.6, 1.0, dims=(-3, -2, -1))
    torch.testing.assert_close(y.double(), double, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("shape", [(), (0, 4), (1,), (3, 1)])
def test_rows_of_one_or_no_value_give_zero(shape):
    y = statistical_threshold(torch.ones(shape, requires_grad=True), 0.5, 2.0)
    assert y.shape == shape
    assert not y.any()


def test_a_constant_row_has_no_gradient_and_no_nan():
    x = torch.full((2, 5), 3.0, requires_grad=True)
    statistical_threshold(x, 0.85, 1.0).sum().backward()
    assert torch.equal(x.grad, torch.zeros(2, 5))
    assert not statistical_threshold(x.detach(), 0.85, torch.tensor([math.inf])).any()


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_row_with_what_is_not_finite_is_nan_and_no_other(value):
    x = sample(2, 6)
    x[0, 2] = value
    y = statistical_threshold(x, 0.6, 1.0)
    assert y[0].isnan().all()
    assert y[1].isfinite().all()


def test_vmap_and_forward_mode():
    x = sample(3, 4, 20)
    mapped = torch.func.vmap(lambda row: statistical_threshold(row, 0.7, 1.0))(x)
    torch.testing.assert_close(mapped, statistical_threshold(x, 0.7, 1.0))
    _, tangent = torch.func.jvp(lambda x: statistical_threshold(x, 0.7, 1.0), (x,), (x,))
    torch.testing.assert_close(tangent, mapped)  # it is homogeneous


@pytest.mark.slow
def test_it_compiles_in_one_graph():
    torch._dynamo.reset()
    module = nn.StatisticalThreshold(0.7, 1.0)
    x = sample(8, 32, dtype=torch.float32).requires_grad_()
    y = torch.compile(module, fullgraph=True)(x)
    torch.testing.assert_close(y, module(x))
    (found,) = torch.autograd.grad(y.square().sum(), x)
    (expected,) = torch.autograd.grad(module(x).square().sum(), x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_module_is_the_function(tmp_path):
    x = sample(4, 3, 5, 6, dtype=torch.float32)
    module = nn.StatisticalThreshold(0.8, 1.5, dims=(-3, -2, -1))
    assert torch.equal(module(x), statistical_threshold(x, 0.8, 1.5, dims=(-3, -2, -1)))
    assert repr(module) == "StatisticalThreshold(sparsity=0.8, m=1.5, dims=(-3, -2, -1))"
    assert not module.m.requires_grad
    torch.save(module.state_dict(), tmp_path / "state.pt")
    other = nn.StatisticalThreshold(0.8, 9.0, dims=(-3, -2, -1))
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(other(x), module(x))
    assert nn.StatisticalThreshold(0.8)(x).amax() > module(x).amax()
    assert torch.fx.symbolic_trace(module)(x).equal(module(x))


def test_of_a_normal_row_it_is_the_activation_of_the_edge_of_chaos():
    x = sample(1, 200_000)
    x = (x - x.mean()) / x.std(correction=0)
    found = nn.StatisticalThreshold.from_sparsity(0.85, 0.7).double()(x)
    torch.testing.assert_close(found, nn.CReLU.from_sparsity(0.85, 0.7)(x), atol=1e-6, rtol=0)
    unclipped = statistical_threshold(x, 0.85)
    torch.testing.assert_close(unclipped, shifted_relu(x, Z85), atol=1e-9, rtol=0)


@pytest.mark.parametrize("bad", [0.0, 1.0, -0.1, math.nan])
def test_a_share_that_is_none(bad):
    for call in (nn.StatisticalThreshold, lambda s: statistical_threshold(torch.ones(3), s)):
        with pytest.raises(SparsityError, match="between 0 and 1"):
            call(bad)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ThresholdError, match=r"m of shape \(3,\)"):
        statistical_threshold(sample(2, 4), 0.5, torch.ones(3))
    with pytest.raises(ThresholdError, match="int64"):
        statistical_threshold(torch.ones(3, dtype=torch.int64), 0.5)
    with pytest.raises(ThresholdError, match=r"^m goes down to -1"):
        nn.StatisticalThreshold(0.5, -1.0)
