import math

import numpy as np
import pytest
import torch
from snntorch import surrogate
from torch.utils.checkpoint import checkpoint

from clipact.errors import SpikingError, ThresholdError
from clipact.functional import hoyer_extremum, hoyer_spike

INF, NAN = math.inf, math.nan
SHAPES = [(7,), (4, 5), (2, 3, 8, 8), (3, 4, 96, 96)]
each_level = pytest.mark.parametrize("levels", [1, 2, 4])


def reference(x, v, extremum, levels=1):
    """Thresholds counted one by one, in NumPy and double precision."""
    x, size = np.asarray(x, dtype=np.float64), np.abs(v)
    count = sum((x >= size * (k + extremum) / levels).astype(np.float64) for k in range(levels))
    return count if levels == 1 else count * size / levels


def soft(x, v, low=0.0, high=2.0, scale=0.5, levels=1):
    """The curve whose slope the surrogate is documented to be: a ramp over the window, scaled by V if several levels."""
    size = v.abs()
    ramp = scale * (torch.clamp(x / size, low, high) - low)
    return ramp if levels == 1 else size * ramp


def sample(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def gradients(x, v, grad, **settings):
    x, v = x.detach().requires_grad_(), v.detach().requires_grad_()
    hoyer_spike(x, v, **settings).backward(grad)
    return x.grad, v.grad


def expected_gradients(x, v, grad, *, extremum, levels, window=(0.0, 2.0), grad_scale=0.5):
    """From the curve by autograd; with several levels, V is also the size of the quantised output."""
    x, v = x.detach().requires_grad_(), v.detach().requires_grad_()
    soft(x, v, *window, grad_scale, levels).backward(grad)
    if levels > 1:
        size = v.detach().abs()
        z = (x.detach() / size).numpy()
        ramp = grad_scale * (np.clip(z, *window) - window[0])
        missed = torch.from_numpy(reference(z, 1.0, extremum, levels) - ramp)
        v.grad += (missed * grad * v.detach().sign()).sum_to_size(v.shape)
    return x.grad, v.grad


@each_level
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("v", [0.7, -1.3])
@pytest.mark.parametrize("trained", [False, True])
def test_equals_the_numpy_reference(levels, shape, v, trained):
    x = sample(*shape)
    y = hoyer_spike(x.requires_grad_(trained), torch.tensor([v]), 0.6, levels=levels)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    np.testing.assert_allclose(y.detach().numpy(), reference(x.detach(), v, 0.6, levels), rtol=1e-6)


@each_level
def test_an_extremum_and_a_clip_value_a_channel(levels):
    x = sample(2, 3, 8, 8)
    v = torch.tensor([0.5, 1.0, 2.0]).reshape(3, 1, 1)
    extremum = hoyer_extremum(x, v, levels=levels, channel_dim=1)
    y = hoyer_spike(x, v, extremum, levels=levels)
    np.testing.assert_allclose(
        y.numpy(), reference(x.numpy(), v.numpy(), extremum.numpy(), levels), rtol=1e-6
    )


@each_level
def test_without_an_extremum_it_is_that_of_the_input(levels):
    x = sample(100)
    expected = hoyer_spike(x, 1.5, hoyer_extremum(x, 1.5, levels=levels), levels=levels)
    assert torch.equal(hoyer_spike(x, 1.5, levels=levels), expected)


def test_a_single_level_gives_zeros_and_ones_alone():
    assert set(hoyer_spike(sample(1000), 0.7).tolist()) == {0.0, 1.0}


def test_several_levels_share_the_clip_value():
    y = hoyer_spike(torch.linspace(-1, 4, 1000), 3.0, 0.5, levels=4)
    assert sorted(set(y.tolist())) == [0.0, 0.75, 1.5, 2.25, 3.0]


@each_level
def test_an_input_at_its_threshold_spikes(levels):
    x = torch.tensor([0.0, 0.5, 1.0, 2.0])
    assert hoyer_spike(x, 2.0, 1.0, levels=levels)[-1] > 0
    assert hoyer_spike(torch.tensor([0.8]), 1.0, 0.8).tolist() == [1.0]


@each_level
@pytest.mark.parametrize("window", [(0.0, 2.0), (0.0, 1.0), (-0.5, 1.5)])
@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (3, 4, 96, 96)])
@pytest.mark.parametrize("granularity", ["layer", "channel"])
def test_gradients_are_those_of_the_documented_curve(levels, window, shape, granularity):
    x, grad = sample(*shape, dtype=torch.float64), sample(*shape, seed=1, dtype=torch.float64)
    size = (shape[1], 1, 1) if granularity == "channel" else (1,)
    v = torch.linspace(0.6, 1.2, math.prod(size), dtype=torch.float64).reshape(size)
    settings = {"extremum": 0.6, "levels": levels, "window": window, "grad_scale": 0.7}
    dx, dv = gradients(x, v, grad, **settings)
    expected = expected_gradients(x, v, grad, **settings)
    torch.testing.assert_close(dx, expected[0])
    torch.testing.assert_close(dv, expected[1])
    leaf = x.clone().requires_grad_()
    hoyer_spike(leaf, v, **settings).backward(grad)
    torch.testing.assert_close(leaf.grad, dx)


@each_level
def test_a_clip_value_of_the_other_sign_does_the_same_with_the_opposite_gradient(levels):
    x, grad = sample(200), sample(200, seed=1)
    plus = gradients(x, torch.tensor([0.8]), grad, extremum=0.6, levels=levels)
    minus = gradients(x, torch.tensor([-0.8]), grad, extremum=0.6, levels=levels)
    torch.testing.assert_close(plus[0], minus[0])
    torch.testing.assert_close(plus[1], -minus[1])
    assert torch.equal(
        hoyer_spike(x, 0.8, 0.6, levels=levels), hoyer_spike(x, -0.8, 0.6, levels=levels)
    )


def test_the_window_is_open_below_and_closed_above():
    x = torch.tensor([0.0, 1e-6, 2.0, 2.000001, -1.0])
    dx, _ = gradients(x, torch.ones(1), torch.ones(5), extremum=0.8)
    assert dx.tolist() == [0, 0.5, 0.5, 0, 0]


@each_level
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_infinities_and_nan(levels, trained, dtype):
    x = torch.tensor([INF, -INF, NAN, 0.0, -0.0], dtype=dtype, requires_grad=trained)
    y = hoyer_spike(x, 1.0, levels=levels).detach()
    assert y.tolist() == [1, 0, 0, 0, 0]
    passed = hoyer_spike(x, 1.0, 0.8, levels=levels, nan_to_zero=False).detach()
    assert passed[2].isnan()
    assert passed[[0, 1, 3, 4]].tolist() == [1, 0, 0, 0]


@each_level
@pytest.mark.parametrize("size", [5, 5 + 64, 200_005])
def test_no_gradient_at_infinities_and_none_spoiled_by_nan(levels, size):
    x = torch.cat([torch.tensor([INF, -INF, NAN]), sample(size)])
    clean = torch.where(x.isfinite(), x, -1.0)
    grad = sample(len(x), seed=1)
    found = gradients(x, torch.ones(1), grad, extremum=0.7, levels=levels)
    expected = gradients(clean, torch.ones(1), grad, extremum=0.7, levels=levels)
    torch.testing.assert_close(found[0], expected[0])
    top = grad[0] if levels > 1 else 0.0  # infinity reaches the highest level, whose size V is
    torch.testing.assert_close(found[1], expected[1] + top, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("v", [0.0, 1e-30])
@each_level
def test_a_clip_value_that_vanished_in_training_gives_no_nan(v, levels):
    x = torch.tensor([-1.0, 0.0, 1e-40, 2.0, INF])
    dx, dv = gradients(x, torch.tensor([v]), torch.ones(5), levels=levels)
    assert dx.isfinite().all()
    assert dv.isfinite().all()
    assert hoyer_spike(x, v, levels=levels).isfinite().all()


@each_level
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_close_to_double(levels, dtype):
    x = sample(4000, dtype=dtype)
    steps = 0.7 * (np.arange(levels) + 0.6) / levels
    far = np.abs(x.double().numpy()[:, None] - steps).min(axis=1) > 0.01
    y = hoyer_spike(x, torch.tensor([0.7]), 0.6, levels=levels)
    assert y.dtype is dtype
    np.testing.assert_allclose(
        y.double().numpy()[far], reference(x.double(), 0.7, 0.6, levels)[far], rtol=0.01
    )
    grad = torch.ones_like(x)
    dx, dv = gradients(x, torch.tensor([0.7]), grad, extremum=0.6, levels=levels)
    exact = gradients(
        x.double(), torch.tensor([0.7]).double(), grad.double(), extremum=0.6, levels=levels
    )
    assert dx.dtype is dtype
    assert dv.dtype is torch.float32
    near = (x.double() - 1.4).abs() > 0.01
    torch.testing.assert_close(dx.double()[near], exact[0][near], rtol=0.02, atol=0.01)
    torch.testing.assert_close(dv.double(), exact[1], rtol=0.05, atol=2.0)


@each_level
def test_layouts_give_the_same(levels):
    x, grad = sample(2, 3, 8, 10), sample(2, 3, 8, 10, seed=1)
    expected = gradients(x, torch.ones(1), grad, extremum=0.7, levels=levels)
    for other in (x.to(memory_format=torch.channels_last), x.repeat(1, 1, 1, 2)[..., :10]):
        found = gradients(other, torch.ones(1), grad, extremum=0.7, levels=levels)
        torch.testing.assert_close(found, expected)


@each_level
def test_the_input_is_not_modified(levels):
    x = torch.cat([sample(50), torch.tensor([INF, NAN])])
    before = x.clone()
    hoyer_spike(
        x.requires_grad_(), torch.ones(1, requires_grad=True), levels=levels
    ).sum().backward()
    assert torch.equal(x.detach().view(torch.int32), before.view(torch.int32))


@each_level
def test_vmap_functional_gradients_and_forward_mode(levels):
    x, v = sample(4, 30), torch.tensor([0.9])

    def total(each, clip):
        return hoyer_spike(each, clip, 0.7, levels=levels).square().sum()

    mapped = torch.func.vmap(lambda each: hoyer_spike(each, v, levels=levels))(x)
    assert torch.equal(mapped, torch.stack([hoyer_spike(each, v, levels=levels) for each in x]))
    per_sample = torch.func.vmap(torch.func.grad(total, argnums=(0, 1)), in_dims=(0, None))(x, v)
    for row, each in enumerate(x):
        leaf, clip = each.clone().requires_grad_(), v.clone().requires_grad_()
        total(leaf, clip).backward()
        torch.testing.assert_close(per_sample[0][row], leaf.grad)
        torch.testing.assert_close(per_sample[1][row], clip.grad)
    one = torch.ones_like(x)
    _, tangent = torch.func.jvp(lambda t: hoyer_spike(t, v, 0.7, levels=levels), (x,), (one,))
    torch.testing.assert_close(tangent, gradients(x, v, one, extremum=0.7, levels=levels)[0])


@each_level
def test_second_derivatives_and_checkpointing(levels):
    x, v, grad = sample(50), torch.ones(1), sample(50, seed=1)
    leaf = x.clone().requires_grad_()
    (dx,) = torch.autograd.grad(
        hoyer_spike(leaf, v, 0.7, levels=levels), leaf, grad, create_graph=True
    )
    torch.testing.assert_close(dx.detach(), gradients(x, v, grad, extremum=0.7, levels=levels)[0])
    leaf = x.clone().requires_grad_()
    y = checkpoint(lambda t: hoyer_spike(t, v, 0.7, levels=levels), leaf, use_reentrant=False)
    y.backward(grad)
    torch.testing.assert_close(leaf.grad, dx.detach())


SURROGATES = {
    "atan": surrogate.atan(),
    "fast_sigmoid": surrogate.fast_sigmoid(slope=25),
    "sigmoid": surrogate.sigmoid(slope=5),
    "straight_through": surrogate.straight_through_estimator(),
    "triangular": surrogate.triangular(),
    "heaviside": surrogate.heaviside(),
}


@pytest.mark.parametrize("name", SURROGATES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_any_surrogate_of_snntorch(name, dtype):
    x = sample(200, dtype=dtype)
    leaf, v = x.clone().requires_grad_(), torch.tensor([0.7]).requires_grad_()
    y = hoyer_spike(leaf, v, 0.6, spike_grad=SURROGATES[name])
    assert y.dtype is dtype
    away = (x.double() - 0.42).abs() > 0.01
    np.testing.assert_array_equal(
        y.detach().double().numpy()[away], reference(x.double(), 0.7, 0.6)[away]
    )
    if not y.requires_grad:
        return
    y.sum().backward()
    assert leaf.grad.dtype is dtype
    shift = (x.double() / 0.7 - 0.6).requires_grad_()
    SURROGATES[name](shift).sum().backward()
    if dtype in (torch.float32, torch.float64):
        torch.testing.assert_close(leaf.grad.double(), shift.grad / 0.7, rtol=1e-3, atol=1e-5)
        expected = -(shift.grad * x.double() / 0.7**2).sum()
        assert v.grad.item() == pytest.approx(expected.item(), rel=1e-3)


@pytest.mark.parametrize("levels", [2, 4])
def test_a_surrogate_for_each_of_several_levels(levels):
    x = sample(300)
    leaf = x.clone().requires_grad_()
    y = hoyer_spike(leaf, 1.4, 0.6, levels=levels, spike_grad=surrogate.atan())
    np.testing.assert_allclose(y.detach().numpy(), reference(x, 1.4, 0.6, levels), rtol=1e-6)
    y.sum().backward()
    shift = sum_ = x.clone().requires_grad_()
    sum_ = sum(surrogate.atan()(shift / 1.4 * levels - k - 0.6) for k in range(levels))
    (sum_ * 1.4 / levels).sum().backward()
    torch.testing.assert_close(leaf.grad, shift.grad)


@pytest.mark.parametrize("returned", [torch.zeros(3), torch.zeros(5, 1), 1.0, None])
def test_a_surrogate_that_returns_another_shape(returned):
    with pytest.raises(SpikingError, match=r"spike_grad returned .* shape \(5,\)"):
        hoyer_spike(sample(5), spike_grad=lambda _: returned)


@pytest.mark.parametrize("settings", [{"levels": 0}, {"levels": -1}, {"window": (1.0, 1.0)}, {"window": (0.0, INF)}, {"window": (NAN, 1.0)}, {"grad_scale": 0.0}, {"grad_scale": NAN}])  # fmt: skip
def test_settings_without_meaning(settings):
    with pytest.raises(SpikingError, match=next(iter(settings))):
        hoyer_spike(sample(5), **settings)


@each_level
@pytest.mark.parametrize("extremum", [None, 0.5])
def test_an_input_that_is_not_floating_point(levels, extremum):
    for spike_grad in (None, surrogate.atan()):
        with pytest.raises(ThresholdError, match="int64"):
            hoyer_spike(
                torch.ones(3, dtype=torch.int64),
                1.0,
                extremum,
                levels=levels,
                spike_grad=spike_grad,
            )


def test_a_threshold_that_does_not_fit():
    with pytest.raises(ThresholdError, match="v_threshold of shape"):
        hoyer_spike(sample(2, 3), torch.ones(4))
    with pytest.raises(ThresholdError, match="extremum of shape"):
        hoyer_spike(sample(2, 3), 1.0, torch.ones(4))


@pytest.mark.slow
@each_level
def test_compiles_in_one_graph_with_the_same_gradients(levels):
    torch._dynamo.reset()

    def function(x, v):
        return hoyer_spike(x, v, levels=levels)

    compiled = torch.compile(function, fullgraph=True, dynamic=False)
    results = []
    for each in (function, compiled):
        x, v = sample(2, 3, 8, 8).requires_grad_(), torch.tensor([0.9]).requires_grad_()
        y = each(x, v)
        y.square().sum().backward()
        results.append((y.detach(), x.grad, v.grad))
    for eager, fused in zip(*results, strict=True):
        torch.testing.assert_close(eager, fused, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("v", [0.8, -0.8])
def test_gradients_are_the_same_where_second_derivatives_are_asked_for(levels, v):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 5, generator=generator, dtype=torch.float64).requires_grad_()
    clip = torch.tensor([v], dtype=torch.float64, requires_grad=True)
    weights = torch.randn(40, 5, generator=generator, dtype=torch.float64)
    loss = (hoyer_spike(x, clip, 0.7, levels=levels) * weights).sum()
    once = torch.autograd.grad(loss, (x, clip), retain_graph=True)
    twice = torch.autograd.grad(loss, (x, clip), create_graph=True)
    assert once[1].abs() > 1e-3
    torch.testing.assert_close(once, twice)
