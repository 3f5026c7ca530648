import pytest
import torch

from clipact.functional import saturated_relu

INF = torch.inf
X = [-INF, -1.0, -0.0, 0.0, 0.25, 2.0, 3.0, INF]


def test_golden():
    assert saturated_relu(torch.tensor(X), 2.0).tolist() == [0, 0, 0, 0, 0.25, 2, 2, 2]


def test_without_a_limit_it_is_relu():
    assert torch.equal(saturated_relu(torch.tensor(X), INF), torch.tensor(X).relu())


@pytest.mark.parametrize("shape", [(1,), (8,)])
def test_ties_are_pytorchs_at_zero_and_the_thresholds_at_the_threshold(shape):
    x = torch.tensor(X, requires_grad=True)
    threshold = torch.full(shape, 2.0, requires_grad=True)
    saturated_relu(x, threshold).backward(torch.ones(8))
    assert x.grad.tolist() == [0, 0, 0, 0, 1, 0, 0, 0]
    assert threshold.grad.sum_to_size(shape).tolist() == (
        [3.0] if shape == (1,) else [0, 0, 0, 0, 0, 1, 1, 1]
    )


def test_a_threshold_of_zero_holds_everything():
    x, threshold = (
        torch.tensor([-1.0, 0.0, 1.0], requires_grad=True),
        torch.zeros(1, requires_grad=True),
    )
    saturated_relu(x, threshold).backward(torch.ones(3))
    assert x.grad.tolist() == [0, 0, 0]
    assert threshold.grad.tolist() == [3]


def test_a_neighbour_of_the_threshold_is_no_tie():
    for dtype in (torch.float16, torch.float32, torch.float64):
        threshold = torch.tensor([0.1], dtype=dtype, requires_grad=True)
        x = torch.nextafter(threshold.detach(), torch.zeros(1, dtype=dtype)).requires_grad_()
        saturated_relu(x, threshold).backward(torch.ones(1, dtype=dtype))
        assert (x.grad.item(), threshold.grad.item()) == (1, 0)


def test_an_infinite_gradient_stays_where_it_belongs():
    x, threshold = torch.tensor([0.5, 2.0], requires_grad=True), torch.ones(1, requires_grad=True)
    saturated_relu(x, threshold).backward(torch.tensor([1.0, INF]))
    assert x.grad.tolist() == [1, 0]
    assert threshold.grad.tolist() == [INF]


def test_nan_becomes_zero_only_on_demand_and_then_has_no_gradient():
    x = torch.tensor([torch.nan, 1.0, INF], requires_grad=True)
    assert saturated_relu(x, 2.0)[0].isnan()
    y = saturated_relu(x, torch.full((1,), INF), nan_to_zero=True)
    assert y.tolist() == [0, 1, INF]
    y.backward(torch.ones(3))
    assert x.grad.tolist()[:2] == [0, 1]
