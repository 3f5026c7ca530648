import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipact.errors import SpikingError, ThresholdError
from clipact.functional import hoyer_extremum, hoyer_ratio

INF, NAN = math.inf, math.nan

# V: (extremum, V times it, spike rate, rate with saturated values excluded) for a standard normal input
GAUSSIAN = {
    0.5: (0.920, 0.46, 0.323, 0.371),
    1.0: (0.818, 0.82, 0.207, 0.263),
    2.0: (0.589, 1.18, 0.119, 0.142),
    5.0: (0.251, 1.25, 0.105, 0.105),
}


def reference(x, v=1.0, levels=1, axes=None, exclude=False):
    """Each level's share of the input, summed by NumPy in double precision."""
    z = np.nan_to_num(np.asarray(x, dtype=np.float64) / np.abs(v), nan=0, posinf=9e9, neginf=-9e9)
    shares = np.stack([np.clip(z * levels - k, 0, 1) for k in range(levels)])
    if exclude:
        shares[shares >= 1] = 0
    over = None if axes is None else (0, *(axis + 1 for axis in axes))
    total = shares.sum(axis=over)
    with np.errstate(invalid="ignore"):
        return np.where(total > 0, (shares**2).sum(axis=over) / total, 1.0)


def sample(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def normal_quantiles(n=200_000):
    """A standard normal sample without noise: statistics are off by less than 1e-4."""
    return torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)


@pytest.mark.parametrize("v", [0.3, 1.0, -1.0, 2.5])
@pytest.mark.parametrize("levels", [1, 2, 4])
@pytest.mark.parametrize("exclude", [False, True])
@pytest.mark.parametrize("shape", [(7,), (4, 5), (2, 3, 8, 8), (3, 4, 192, 96)])
def test_equals_the_numpy_reference(v, levels, exclude, shape):
    x = sample(*shape)
    found = hoyer_extremum(x, v, levels=levels, exclude_saturated=exclude)
    assert found.shape == (1,)
    expected = reference(x.numpy(), v, levels, exclude=exclude)
    np.testing.assert_allclose(found.numpy(), [expected], rtol=1e-5)


@pytest.mark.parametrize("exclude", [False, True])
@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize(("shape", "dim"), [((4, 5), 1), ((4, 5), -1), ((2, 3, 8, 8), 1), ((2, 8, 8, 3), -1), ((3, 4, 4), 0), ((3, 4, 192, 96), 1)])  # fmt: skip
def test_one_a_channel(shape, dim, levels, exclude):
    x = sample(*shape)
    found = hoyer_extremum(x, 1.5, levels=levels, channel_dim=dim, exclude_saturated=exclude)
    axes = tuple(axis for axis in range(x.dim()) if axis != dim % x.dim())
    expected = reference(x.numpy(), 1.5, levels, axes, exclude)
    assert torch.broadcast_shapes(found.shape, x.shape) == x.shape
    np.testing.assert_allclose(found.flatten().numpy(), expected, rtol=1e-5)


def test_channels_last_and_strided_inputs():
    x = sample(4, 8, 64, 64)
    for other in (x.to(memory_format=torch.channels_last), x.repeat(1, 1, 1, 2)[..., :64]):
        torch.testing.assert_close(
            hoyer_extremum(other, channel_dim=1), hoyer_extremum(x, channel_dim=1)
        )


def test_a_clip_value_a_channel():
    x, v = sample(4, 3, 8, 8), torch.tensor([0.5, -1.0, 2.0]).reshape(3, 1, 1)
    found = hoyer_extremum(x, v, channel_dim=1)
    np.testing.assert_allclose(
        found.flatten().numpy(), reference(x.numpy(), v.numpy(), axes=(0, 2, 3)), rtol=1e-5
    )


@pytest.mark.parametrize(("v", "row"), GAUSSIAN.items())
def test_the_table_for_normal_inputs(v, row):
    x = normal_quantiles()
    extremum, threshold, rate, rate_excluding = row
    found = hoyer_extremum(x, v).item()
    assert found == pytest.approx(extremum, abs=0.001)
    assert v * found == pytest.approx(threshold, abs=0.006)
    assert (x >= v * found).double().mean().item() == pytest.approx(rate, abs=0.001)
    excluding = hoyer_extremum(x, v, exclude_saturated=True).item()
    assert (x >= v * excluding).double().mean().item() == pytest.approx(rate_excluding, abs=0.001)


def test_extreme_inputs_count_as_their_clip_and_nan_as_nothing():
    finite = sample(1000)
    x = torch.cat([finite, torch.tensor([INF, 3.0, -INF, NAN])])
    expected = reference(torch.cat([finite, torch.tensor([1.0, 1.0])]).numpy())
    for exclude in (False, True):
        found = hoyer_extremum(x, exclude_saturated=exclude)
        assert found.isfinite().all()
    torch.testing.assert_close(hoyer_extremum(x).item(), float(expected), rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    "x", [torch.zeros(0), torch.zeros(5), -torch.ones(5), torch.tensor([NAN, -INF])]
)
def test_without_anything_positive_it_is_one(x):
    assert hoyer_extremum(x).tolist() == [1.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_single(dtype):
    x = torch.full((64, 64, 64), 0.75, dtype=dtype)
    found = hoyer_extremum(x)
    assert found.dtype is torch.float32
    assert found.item() == pytest.approx(0.75)


@given(st.lists(st.floats(allow_nan=True, width=32), max_size=20), st.floats(0.01, 100))
@settings(max_examples=100, deadline=None)
def test_it_lies_between_zero_and_one(values, v):
    found = hoyer_extremum(torch.tensor(values, dtype=torch.float32), v).item()
    assert 0 <= found <= 1 + 1e-6


def test_no_gradient_flows_through_it():
    assert not hoyer_extremum(sample(5).requires_grad_()).requires_grad


def test_vmap_gives_one_a_sample():
    x = sample(6, 3, 8, 8)
    found = torch.func.vmap(lambda each: hoyer_extremum(each, channel_dim=0))(x)
    expected = torch.stack([hoyer_extremum(each, channel_dim=0) for each in x])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("dim", [2, -3])
def test_a_channel_dimension_out_of_range(dim):
    with pytest.raises(SpikingError, match=rf"channel_dim={dim} .* 2 dimensions"):
        hoyer_extremum(sample(2, 3), channel_dim=dim)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_an_input_that_is_not_floating_point(dtype):
    with pytest.raises(ThresholdError, match=str(dtype)):
        hoyer_extremum(torch.ones(3, dtype=dtype))
    with pytest.raises(SpikingError, match=str(dtype)):
        hoyer_ratio(torch.ones(3, dtype=dtype))


@pytest.mark.parametrize("normalized", [False, True])
def test_the_ratio_equals_its_definition(normalized):
    x = sample(4, 5, dtype=torch.float64)
    expected = (np.abs(x.numpy()).sum() / np.linalg.norm(x.numpy())) ** 2
    expected /= 20 if normalized else 1
    assert hoyer_ratio(x, normalized=normalized).item() == pytest.approx(expected)


def test_the_ratio_at_its_ends():
    assert hoyer_ratio(torch.full((8,), 3.0)).item() == pytest.approx(1.0)
    assert hoyer_ratio(torch.eye(1, 8)).item() == pytest.approx(1 / 8)
    assert hoyer_ratio(torch.zeros(8)).item() == 0
    assert hoyer_ratio(torch.zeros(0)).item() == 0


def test_the_ratio_has_the_gradient_of_its_definition():
    x = sample(6, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(hoyer_ratio, (x,))
    zeros = torch.zeros(4, requires_grad=True)
    hoyer_ratio(zeros).backward()
    assert zeros.grad.tolist() == [0, 0, 0, 0]


def test_the_ratio_does_not_overflow_in_half_precision():
    assert hoyer_ratio(torch.full((1000,), 100.0, dtype=torch.float16)).item() == pytest.approx(1)
