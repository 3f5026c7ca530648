import math

import pytest
import torch

from clipact.errors import ThresholdError
from clipact.functional import hyrelu

INF, NAN = torch.inf, torch.nan


def test_golden():
    # x / (1 + exp(-k (T - x))) at T = 1, k = 2
    expected = [0, 0.5 / (1 + math.exp(-1)), 0.5, 2 / (1 + math.exp(2))]
    y = hyrelu(torch.tensor([-1.0, 0.5, 1.0, 2.0], dtype=torch.float64), 1.0, slope=2.0)
    assert y.tolist() == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("threshold", [1.0, INF])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_infinities_and_nan_give_zero_and_no_gradient(threshold, dtype):
    x = torch.tensor([INF, -INF, NAN, torch.finfo(dtype).max], dtype=dtype, requires_grad=True)
    limit = torch.full((1,), threshold, requires_grad=True)
    y = hyrelu(x, limit)
    y.backward(torch.full_like(y, 100.0))
    largest = 0 if threshold == 1 else torch.finfo(dtype).max
    assert y.tolist() == [0, 0, 0, largest]
    assert x.grad.tolist() == [0, 0, 0, 0 if threshold == 1 else 100]
    assert limit.grad.tolist() == [0]


def test_without_a_limit_it_is_relu_for_finite_values():
    x = torch.tensor([-3.0, 0.0, 1e-30, 7.5, 3e38])
    assert torch.equal(hyrelu(x, INF), x.relu())


def test_no_gradient_at_zero():
    x = torch.tensor([-1.0, 0.0], requires_grad=True)
    hyrelu(x, torch.ones(1)).backward(torch.ones(2))
    assert x.grad.tolist() == [0, 0]


@pytest.mark.parametrize("slope", [0.0, -1.0, INF, NAN])
def test_a_slope_that_cannot_fall_is_refused(slope):
    with pytest.raises(ThresholdError, match="slope"):
        hyrelu(torch.ones(1), 1.0, slope)
