"""What every activation promises, checked for each from one line of data."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import clipact.functional as F
from clipact import nn
from clipact.errors import ThresholdError

INF, NAN = math.inf, math.nan
GRANULARITIES = {"layer": (1,), "channel": (3, 1, 1), "neuron": (3, 4, 5)}
SHAPE = (2, 3, 4, 5)


def numpy_relu(x):
    return np.maximum(x, 0)


def numpy_hyrelu(x, t):
    relu = np.where(np.isfinite(x), numpy_relu(x), 0)
    with np.errstate(over="ignore"):
        return relu / (1 + np.exp(-20 * (t - relu)))


def numpy_inside(x, low, high, otherwise):
    return np.where(np.logical_and(low <= x, x <= high), x, otherwise)


def naive_hyrelu(x, t):
    relu = torch.where(x.isfinite(), x, 0).relu()
    return relu * torch.sigmoid(20 * (t - relu))


def numpy_relative_hyrelu(x, t):
    relu = np.where(np.isfinite(x), numpy_relu(x), 0)
    with np.errstate(over="ignore"):
        return relu / (1 + np.exp(-20 * (1 - relu / t)))


def naive_relative_hyrelu(x, t):
    relu = torch.where(x.isfinite(), x, 0).relu()
    return relu * torch.sigmoid(20 * (1 - relu / t))


def naive_held(x, low, high):
    return torch.where(x >= high, high, torch.where(x <= low, low, x))


def numpy_cst(x, t, m):
    return np.sign(x) * np.clip(np.abs(x) - t, 0, m)


def naive_cst(x, t, m):
    return x.sign() * torch.minimum((x.abs() - t).relu(), m)


def starts(*thresholds):
    """Kinks of a function that starts at the first threshold, on both sides, and is clipped that much past it."""
    size = sum(thresholds)
    return [thresholds[0], -thresholds[0], size, -size]


@dataclass(frozen=True)
class Case:
    """An activation and what it declares."""

    name: str
    function: Callable[..., Tensor]
    module: Callable[..., nn.Activation]
    numpy: Callable[..., np.ndarray]
    naive: Callable[..., Tensor]  # composed from torch operations, for gradients away from ties
    specials: tuple[
        float, float, float
    ]  # at +inf, -inf and NaN, with the thresholds at 1 times their scale
    scale: tuple[float, ...] = (1.0,)  # one a threshold: they are tested at multiples of it
    trained: tuple[bool, ...] = (True,)  # which thresholds receive gradients
    monotone: bool = False
    reach: tuple[float, float] = (0.0, 1.0)  # range of the output, in that multiple
    overshoot: float = 0.0  # how far past its range the output may lie
    kinks: Callable[..., list[Tensor]] = lambda *thresholds: list(thresholds)  # besides 0


CASES = [
    Case("saturated_relu", F.saturated_relu, nn.SaturatedReLU, lambda x, t: np.minimum(numpy_relu(x), t), lambda x, t: torch.minimum(x.relu(), t), (1, 0, NAN), monotone=True),
    Case("saturated_relu_without_nan", lambda x, t: F.saturated_relu(x, t, nan_to_zero=True), lambda t: nn.SaturatedReLU(t, nan_to_zero=True), lambda x, t: np.minimum(numpy_relu(x), t), lambda x, t: torch.minimum(x.relu(), t), (1, 0, 0), monotone=True),
    Case("zeroed_relu", F.zeroed_relu, nn.ZeroedReLU, lambda x, t: numpy_relu(numpy_inside(x, -INF, t, 0)), lambda x, t: torch.where(x <= t, x.relu(), 0), (0, 0, 0), trained=(False,)),
    Case("hyrelu", F.hyrelu, nn.HyReLU, numpy_hyrelu, naive_hyrelu, (0, 0, 0), overshoot=1 / 20),
    Case("relative_hyrelu", F.relative_hyrelu, nn.RelativeHyReLU, numpy_relative_hyrelu, naive_relative_hyrelu, (0, 0, 0), overshoot=1 / 20),
    Case("range_held", F.range_restricted, lambda a, b: nn.RangeRestricted(torch.nn.Identity(), a, b), np.clip, naive_held, (1, -1, NAN), (-1, 1), (True, True), monotone=True, reach=(-1, 1)),
    Case("range_held_without_nan", lambda x, a, b: F.range_restricted(x, a, b, nan_to_zero=True), lambda a, b: nn.RangeRestricted(torch.nn.Identity(), a, b, nan_to_zero=True), np.clip, naive_held, (1, -1, 0), (-1, 1), (True, True), monotone=True, reach=(-1, 1)),
    Case("range_zeroed", lambda x, a, b: F.range_restricted(x, a, b, zero=True), lambda a, b: nn.RangeRestricted(torch.nn.Identity(), a, b, zero=True), lambda x, a, b: numpy_inside(x, a, b, 0), lambda x, a, b: torch.where((x >= a) & (x <= b), x, 0), (0, 0, 0), (-1, 1), (False, False), reach=(-1, 1)),
    Case("mended", F.mended, lambda a, b, f: nn.Mended(torch.nn.Identity(), a, b, f), numpy_inside, lambda x, a, b, f: torch.where((x >= a) & (x <= b), x, f), (0.5, 0.5, 0.5), (-1, 1, 0.5), (False, False, True), reach=(-1, 1)),
    Case("output_guard", F.output_guard, nn.OutputGuard, lambda x, a, b: numpy_inside(x, a, b, a), lambda x, a, b: torch.where((x >= a) & (x <= b), x, a), (-1, -1, -1), (-1, 1), (True, False), reach=(-1, 1)),
    Case("shifted_relu", F.shifted_relu, nn.ShiftedReLU, lambda x, t: numpy_relu(x - t), lambda x, t: (x - t).relu(), (INF, 0, NAN), monotone=True, reach=(0, INF), kinks=starts),
    Case("soft_threshold", F.soft_threshold, nn.SoftThreshold, lambda x, t: numpy_cst(x, t, INF), lambda x, t: x.sign() * (x.abs() - t).relu(), (INF, -INF, NAN), monotone=True, reach=(-INF, INF), kinks=starts),
    Case("crelu", F.crelu, nn.CReLU, lambda x, t, m: np.clip(x - t, 0, m), lambda x, t, m: torch.minimum((x - t).relu(), m), (1, 0, NAN), (0.5, 1), (True, True), monotone=True, kinks=starts),
    Case("cst", F.cst, nn.CST, numpy_cst, naive_cst, (1, -1, NAN), (0.5, 1), (True, True), monotone=True, reach=(-1, 1), kinks=starts),
]  # fmt: skip

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_granularity = pytest.mark.parametrize("granularity", GRANULARITIES.values(), ids=GRANULARITIES)


def limits(
    case: Case, granularity: tuple[int, ...] = (1,), dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    """Multiples of the scale of each between 0.5 and 1.5."""
    generator = torch.Generator().manual_seed(1)
    high = (torch.rand(granularity, generator=generator, dtype=torch.float64) + 0.5).to(dtype)
    return [scale * high for scale in case.scale]


def away_from_kinks(case: Case, x: Tensor, thresholds: list[Tensor]) -> Tensor:
    """``x``, moved a tenth where it is closer than that to 0 or to a kink."""
    for kink in (torch.zeros(()), *case.kinks(*thresholds)):
        x = torch.where((x - kink).abs() < 0.1, kink + 0.15, x)
    return x


def sample(shape: tuple[int, ...] = SHAPE, dtype: torch.dtype = torch.float32) -> Tensor:
    return (
        2 * torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ).to(dtype)


@each_case
@each_granularity
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_shape_dtype_and_device_are_kept(case, granularity, dtype):
    x = sample(dtype=dtype)
    y = case.function(x, *limits(case, granularity))
    assert (y.shape, y.dtype, y.device) == (x.shape, x.dtype, x.device)


@each_case
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("x", [sample(()), sample((0, 3, 4, 5)), sample((7,)), sample((5, 4, 3, 2)).permute(3, 2, 1, 0), sample((2, 3, 4, 10))[..., ::2], sample((2, 1, 4, 5)).expand(2, 3, 4, 5)], ids=["scalar", "empty", "vector", "permuted", "strided", "expanded"])  # fmt: skip
def test_any_layout_gives_the_same_numbers(case, trained, x):
    thresholds = limits(case)
    expected = case.numpy(x.numpy(), *(t.item() for t in thresholds))
    y = case.function(x.detach().requires_grad_(trained), *thresholds)
    assert y.shape == x.shape
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


@each_case
@each_granularity
@pytest.mark.parametrize("trained", [False, True])
def test_channels_last_is_kept(case, granularity, trained):
    x = sample().to(memory_format=torch.channels_last)
    y = case.function(x.clone().requires_grad_(trained), *limits(case, granularity))
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y.detach(), case.function(sample(), *limits(case, granularity)))


@each_case
@pytest.mark.parametrize("trained", [False, True])
def test_the_input_is_not_modified(case, trained):
    x = torch.cat([sample().flatten(), torch.tensor([INF, -INF, NAN])])
    before = x.clone()
    y = case.function(x.requires_grad_(trained), *limits(case))
    if trained:
        y.sum().backward()
    assert torch.equal(x.detach().view(torch.int32), before.view(torch.int32))


@each_case
@each_granularity
def test_equals_the_numpy_reference(case, granularity):
    x, thresholds = sample(dtype=torch.float64), limits(case, granularity, torch.float64)
    expected = case.numpy(x.numpy(), *(t.numpy() for t in thresholds))
    np.testing.assert_allclose(
        case.function(x, *thresholds).numpy(), expected, rtol=1e-12, atol=1e-15
    )


@each_case
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("granularity", [(1,), (3,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_infinities_and_nan_as_declared(case, trained, granularity, dtype):
    x = torch.tensor([INF, -INF, NAN], dtype=dtype, requires_grad=trained)
    ones = torch.ones(granularity)
    y = case.function(x, *(scale * ones for scale in case.scale))
    torch.testing.assert_close(
        y.detach().float(), torch.tensor(case.specials, dtype=torch.float32), equal_nan=True
    )


@each_case
@each_granularity
def test_gradients_of_first_and_second_order(case, granularity):
    thresholds = limits(case, granularity, torch.float64)
    x = away_from_kinks(case, sample(dtype=torch.float64), thresholds).requires_grad_()
    inputs = (
        x,
        *(t.requires_grad_(trained) for t, trained in zip(thresholds, case.trained, strict=True)),
    )
    assert torch.autograd.gradcheck(case.function, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(case.function, inputs, fast_mode=True)


@each_case
@pytest.mark.parametrize("granularity", [(1,), (16, 1, 1), (16, 64, 96)], ids=GRANULARITIES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_equal_the_naive_composition_also_across_blocks(case, granularity, layout):
    grad = torch.randn((3, 16, 64, 96), generator=torch.Generator().manual_seed(2))
    found, expected = [], []
    for function, gradients in ((case.function, found), (case.naive, expected)):
        x = sample(tuple(grad.shape)).to(memory_format=layout).requires_grad_()
        thresholds = [
            t.requires_grad_(r)
            for t, r in zip(limits(case, granularity), case.trained, strict=True)
        ]
        function(x, *thresholds).backward(grad)
        gradients += [x.grad, *(t.grad for t in thresholds)]
    for ours, naive in zip(found, expected, strict=True):
        assert (ours is None) == (naive is None)
        if naive is not None:
            torch.testing.assert_close(
                ours, naive, rtol=1e-4, atol=2e-3 if ours.numel() == 1 else 1e-4
            )


@each_case
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_close_to_double(case, dtype):
    x = away_from_kinks(case, sample((4, 3, 4, 5), dtype=dtype).double(), limits(case)).to(dtype)
    thresholds = limits(case, (3, 1, 1), dtype)
    results = []
    for x_, thresholds_ in ((x, thresholds), (x.double(), [t.double() for t in thresholds])):
        x_.requires_grad_()
        parameters = [
            t.float().requires_grad_(r) for t, r in zip(thresholds_, case.trained, strict=True)
        ]
        y = case.function(x_, *parameters)
        y.sum().backward()
        results.append([y.detach(), x_.grad, *(t.grad for t in parameters if t.grad is not None)])
    for half, double in zip(*results, strict=True):
        torch.testing.assert_close(half.double(), double.double(), rtol=0.04, atol=0.12)


@pytest.mark.parametrize("case", [c for c in CASES if c.monotone], ids=lambda case: case.name)
@given(a=st.floats(-50, 50, width=32), b=st.floats(-50, 50, width=32), t=st.floats(0, 20, width=32))
@settings(max_examples=50, deadline=None)
def test_monotone(case, a, b, t):
    thresholds = [scale * t for scale in case.scale]
    small, large = case.function(torch.tensor([min(a, b), max(a, b)]), *thresholds)
    assert small <= large


@each_case
@given(x=st.floats(width=32), t=st.floats(0, 20, width=32))
@settings(max_examples=50, deadline=None)
def test_the_output_stays_in_range(case, x, t):
    y = case.function(torch.tensor([x]), *(scale * t for scale in case.scale)).item()
    low, high = (bound * t if math.isfinite(bound) else bound for bound in case.reach)
    within = low <= y <= high + case.overshoot
    assert within or (math.isnan(x) and math.isnan(case.specials[2]))


@each_case
@each_granularity
def test_vmap_and_functional_gradients(case, granularity):
    x, thresholds = (
        away_from_kinks(case, sample(), limits(case, granularity)),
        limits(case, granularity),
    )
    expected = case.function(x, *thresholds)
    mapped = torch.func.vmap(case.function, in_dims=(0, *(None for _ in thresholds)))
    torch.testing.assert_close(mapped(x, *thresholds), expected)

    def total(sample_, *thresholds_):
        return case.function(sample_, *thresholds_).sum()

    per_sample = torch.func.vmap(torch.func.grad(total), in_dims=(0, *(None for _ in thresholds)))
    leaf = x.clone().requires_grad_()
    case.function(leaf, *thresholds).sum().backward()
    torch.testing.assert_close(per_sample(x, *thresholds), leaf.grad)


@each_case
def test_forward_mode(case):
    x, thresholds = away_from_kinks(case, sample(), limits(case)), limits(case)
    _, tangent = torch.func.jvp(
        lambda x_: case.function(x_, *thresholds), (x,), (torch.ones_like(x),)
    )
    leaf = x.clone().requires_grad_()
    case.function(leaf, *thresholds).sum().backward()
    torch.testing.assert_close(tangent, leaf.grad)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        y = case.function(dual, *thresholds)
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(y).tangent, leaf.grad)


@each_case
@each_granularity
def test_the_module_is_the_function_and_survives_saving_and_copying(case, granularity, tmp_path):
    x, thresholds = sample(), limits(case, granularity)
    module = case.module(*thresholds)
    assert torch.equal(module(x), case.function(x, *thresholds))
    torch.save(module.state_dict(), tmp_path / "state.pt")
    other = case.module(*(torch.zeros(granularity) for _ in thresholds))
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(other(x), module(x))
    assert torch.equal(copy.deepcopy(module)(x), module(x))
    assert [name for name, _ in module.named_parameters()] == list(module.threshold_names)
    assert not any(parameter.requires_grad for parameter in module.parameters())


@each_case
def test_thresholds_are_copied(case):
    thresholds = limits(case)
    module = case.module(*thresholds)
    for threshold in thresholds:
        threshold.fill_(123.0)
    assert all((parameter.abs() < 2).all() for parameter in module.parameters())


@each_case
def test_numbers_and_tensors_are_the_same_threshold(case):
    numbers = [round(t.item(), 3) for t in limits(case)]
    tensors = [torch.tensor([number]) for number in numbers]
    assert torch.equal(case.function(sample(), *numbers), case.function(sample(), *tensors))
    x = sample().requires_grad_()
    assert torch.equal(case.function(x, *numbers), case.function(x, *tensors))


@each_case
@pytest.mark.parametrize("shape", [(4,), (2, 1), (2, 3, 4, 5, 1), (7, 2, 3, 4, 5)])
def test_a_threshold_that_does_not_fit_is_refused_with_both_shapes(case, shape):
    thresholds = [torch.full(shape, scale) for scale in case.scale]
    with pytest.raises(ThresholdError) as error:
        case.function(sample(), *thresholds)
    assert str(shape) in str(error.value)
    assert str(SHAPE) in str(error.value)


@each_case
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_an_input_that_is_not_floating_point_is_refused(case, dtype):
    with pytest.raises(ThresholdError, match=str(dtype)):
        case.function(torch.ones(3, dtype=dtype), *limits(case))


@each_case
def test_autocast_keeps_the_dtype_of_the_input(case):
    x, thresholds = sample(dtype=torch.bfloat16), [t.requires_grad_() for t in limits(case)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = case.function(x.requires_grad_(), *thresholds)
    assert y.dtype is torch.bfloat16
    y.sum().backward()
    assert all(t.grad is None or t.grad.dtype is torch.float32 for t in thresholds)


@each_case
def test_activation_checkpointing_changes_nothing(case):
    gradients = []
    for call in (lambda f, *a: f(*a), lambda f, *a: checkpoint(f, *a, use_reentrant=False)):
        inputs = [t.requires_grad_() for t in (sample(), *limits(case, (3, 1, 1)))]
        call(case.function, *inputs).square().sum().backward()
        gradients.append([t.grad for t in inputs])
    for plain, checkpointed in zip(*gradients, strict=True):
        assert plain is checkpointed is None or torch.equal(plain, checkpointed)


@pytest.mark.slow
@each_case
def test_compiles_in_one_graph_with_the_same_gradients(case):
    torch._dynamo.reset()
    compiled = torch.compile(case.function, fullgraph=True, dynamic=False)
    results = []
    for function in (case.function, compiled):
        inputs = [sample(), *limits(case, (3, 1, 1))]
        trained = (True, *case.trained)
        inputs = [t.requires_grad_(r) for t, r in zip(inputs, trained, strict=True)]
        y = function(*inputs)
        y.square().sum().backward()
        results.append([y.detach(), *(t.grad for t in inputs)])
    for eager, fused in zip(*results, strict=True):
        assert eager is fused is None or torch.allclose(eager, fused, rtol=1e-4, atol=1e-5)
