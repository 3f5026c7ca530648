import torch

from clipact.functional import output_guard, range_restricted

INF, NAN = torch.inf, torch.nan
X = [-INF, -1.5, -1.0, -0.5, 0.0, 2.0, 2.5, INF, NAN]


def test_golden_held():
    assert range_restricted(torch.tensor(X[:-1]), -1.0, 2.0).tolist() == [
        -1,
        -1,
        -1,
        -0.5,
        0,
        2,
        2,
        2,
    ]


def test_golden_zeroed():
    assert range_restricted(torch.tensor(X), -1.0, 2.0, zero=True).tolist() == [
        0,
        0,
        -1,
        -0.5,
        0,
        2,
        0,
        0,
        0,
    ]


def test_golden_guarded():
    assert output_guard(torch.tensor(X), -1.0, 2.0).tolist() == [-1, -1, -1, -0.5, 0, 2, -1, -1, -1]


def test_ties_go_to_the_bounds():
    x = torch.tensor(X[:-1], requires_grad=True)
    low, high = (
        torch.full((8,), -1.0, requires_grad=True),
        torch.full((8,), 2.0, requires_grad=True),
    )
    range_restricted(x, low, high).backward(torch.ones(8))
    assert x.grad.tolist() == [0, 0, 0, 1, 1, 0, 0, 0]
    assert low.grad.tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    assert high.grad.tolist() == [0, 0, 0, 0, 0, 1, 1, 1]


def test_where_the_bounds_meet_the_upper_one_gets_the_gradient():
    x, low, high = (torch.full((1,), value, requires_grad=True) for value in (1.0, 1.0, 1.0))
    range_restricted(x, low, high).backward()
    assert (x.grad.item(), low.grad.item(), high.grad.item()) == (0, 0, 1)


def test_zeroed_gradients_include_both_ends():
    x = torch.tensor(X, requires_grad=True)
    range_restricted(x, -1.0, 2.0, zero=True).backward(torch.ones(9))
    assert x.grad.tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0]


def test_nan_becomes_zero_on_demand_even_outside_the_range():
    x = torch.tensor([NAN, 5.0])
    assert range_restricted(x, 1.0, 2.0)[0].isnan()
    assert range_restricted(x, 1.0, 2.0, nan_to_zero=True).tolist() == [0, 2]


def test_bounds_of_different_granularity():
    x = torch.full((2, 3, 2, 2), -9.0)
    low = torch.tensor([-1.0, -2.0, -3.0]).reshape(3, 1, 1)
    assert range_restricted(x, low, 5.0)[0, :, 0, 0].tolist() == [-1, -2, -3]
