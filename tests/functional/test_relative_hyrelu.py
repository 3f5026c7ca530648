import math

import pytest
import torch

from clipact.errors import ThresholdError
from clipact.functional import relative_hyrelu, zeroed_relu

INF, NAN = torch.inf, torch.nan


def test_golden():
    # x / (1 + exp(-k (1 - x / T))) at T = 4, k = 2
    expected = [0, 1 / (1 + math.exp(-1.5)), 2, 8 / (1 + math.exp(2))]
    y = relative_hyrelu(torch.tensor([-1.0, 1.0, 4.0, 8.0], dtype=torch.float64), 4.0, slope=2.0)
    assert y.tolist() == pytest.approx(expected, abs=1e-15)


def test_the_same_shape_at_every_scale():
    x = torch.linspace(0, 3, 31, dtype=torch.float64)
    for scale in (1e-6, 1e-2, 1e4):
        torch.testing.assert_close(
            relative_hyrelu(scale * x, scale) / scale, relative_hyrelu(x, 1.0)
        )


def test_a_steep_slope_is_the_hard_form_away_from_the_threshold():
    x = torch.tensor([0.0, 0.1, 0.17, 0.23, 5.0])
    torch.testing.assert_close(relative_hyrelu(x, 0.2, slope=200.0), zeroed_relu(x, 0.2))


@pytest.mark.parametrize("threshold", [1.0, 0.0, -1.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_infinities_and_nan_give_zero_and_no_gradient(threshold, dtype):
    x = torch.tensor([INF, -INF, NAN, torch.finfo(dtype).max], dtype=dtype, requires_grad=True)
    limit = torch.full((1,), threshold, requires_grad=True)
    y = relative_hyrelu(x, limit)
    y.backward(torch.full_like(y, 100.0))
    assert y.tolist() == [0, 0, 0, 0]
    assert x.grad.tolist() == [0, 0, 0, 0]
    assert limit.grad.tolist() == [0]


def test_nothing_passes_a_threshold_that_is_not_positive():
    x = torch.tensor([-1.0, 0.0, 1e-3, 1.0])
    for threshold in (0.0, -2.0):
        assert torch.equal(relative_hyrelu(x, threshold), torch.zeros(4))


@pytest.mark.parametrize("slope", [0.5, -1.0, INF, NAN])
def test_a_slope_that_cannot_fall_is_refused(slope):
    with pytest.raises(ThresholdError, match="slope"):
        relative_hyrelu(torch.ones(1), 1.0, slope)
