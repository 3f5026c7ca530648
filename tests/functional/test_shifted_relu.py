import pytest
import torch

from clipact.functional import shifted_relu, soft_threshold

INF, NAN = torch.inf, torch.nan
X = [-INF, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.25, 3.0, INF]
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def test_golden_one_sided():
    assert shifted_relu(torch.tensor(X), 1.0).tolist() == [0, 0, 0, 0, 0, 0, 0, 0.25, 2, INF]


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("tau", [1.0, torch.ones(10)])
def test_golden_two_sided(tau, trained):
    y = soft_threshold(torch.tensor(X, requires_grad=trained), tau)
    assert y.tolist() == [-INF, -2, 0, 0, 0, 0, 0, 0.25, 2, INF]


def test_without_a_threshold_nothing_is_shifted():
    x = torch.tensor(X)
    assert torch.equal(shifted_relu(x, 0.0), x.relu())
    assert torch.equal(soft_threshold(x, 0.0), x)


@pytest.mark.parametrize("function", [shifted_relu, soft_threshold])
@pytest.mark.parametrize("trained", [False, True])
def test_an_infinite_threshold_stops_every_finite_value(function, trained):
    y = function(torch.tensor([-1e38, 0.0, 1e38, INF], requires_grad=trained), INF)
    assert y[:3].eq(0).all()
    assert y[3].isnan()


@pytest.mark.parametrize("function", [shifted_relu, soft_threshold])
def test_a_threshold_that_a_fault_made_negative_raises_nothing(function):
    assert function(torch.tensor([2.0]), -1.0).item() == 3


def test_ties_have_no_gradient():
    x, tau = torch.tensor(X, requires_grad=True), torch.ones(10, requires_grad=True)
    shifted_relu(x, tau).backward(torch.ones(10))
    assert x.grad.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 1, 1]
    assert tau.grad.tolist() == [0, 0, 0, 0, 0, 0, 0, -1, -1, -1]


def test_ties_have_no_gradient_two_sided():
    x, tau = torch.tensor(X, requires_grad=True), torch.ones(10, requires_grad=True)
    soft_threshold(x, tau).backward(torch.ones(10))
    assert x.grad.tolist() == [1, 1, 0, 0, 0, 0, 0, 1, 1, 1]
    assert tau.grad.tolist() == [1, 1, 0, 0, 0, 0, 0, -1, -1, -1]


@pytest.mark.parametrize("function", [shifted_relu, soft_threshold])
def test_zero_is_a_tie_where_the_threshold_is_zero(function):
    x, tau = torch.zeros(2, requires_grad=True), torch.zeros(1, requires_grad=True)
    for call in (function, torch.func.vmap(function, in_dims=(0, None))):
        x.grad = tau.grad = None
        call(x, tau).sum().backward()
        assert (x.grad.tolist(), tau.grad.tolist()) == ([0, 0], [0])


@pytest.mark.parametrize("function", [shifted_relu, soft_threshold])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_neighbour_of_the_threshold_is_no_tie(function, dtype):
    tau = torch.tensor([0.1], dtype=dtype, requires_grad=True)
    x = torch.nextafter(tau.detach(), torch.ones(1, dtype=dtype)).requires_grad_()
    function(x, tau).backward(torch.ones(1, dtype=dtype))
    assert (x.grad.item(), tau.grad.item()) == (1, -1)


@pytest.mark.parametrize("function", [shifted_relu, soft_threshold])
def test_an_infinite_gradient_stays_where_it_belongs(function):
    x, tau = torch.tensor([0.5, 2.0], requires_grad=True), torch.ones(1, requires_grad=True)
    function(x, tau).backward(torch.tensor([INF, 1.0]))
    assert x.grad.tolist() == [0, 1]
    assert tau.grad.tolist() == [-1]
