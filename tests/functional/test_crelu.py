import pytest
import torch

from clipact.functional import crelu, cst, shifted_relu, soft_threshold

INF, NAN = torch.inf, torch.nan
X = [-INF, -3.0, -1.5, -1.0, 0.0, 1.0, 1.5, 3.0, 9.0, INF]
each_function = pytest.mark.parametrize("function", [crelu, cst])


def test_golden_one_sided():
    y = crelu(torch.tensor(X), 1.0, 2.0)
    assert y.tolist() == [0, 0, 0, 0, 0, 0, 0.5, 2, 2, 2]


def test_golden_two_sided():
    y = cst(torch.tensor(X), 1.0, 2.0)
    assert y.tolist() == [-2, -2, -0.5, 0, 0, 0, 0.5, 2, 2, 2]


@pytest.mark.parametrize(("function", "unclipped"), [(crelu, shifted_relu), (cst, soft_threshold)])
@pytest.mark.parametrize("trained", [False, True])
def test_without_a_limit_it_is_not_clipped(function, unclipped, trained):
    x = torch.tensor(X, requires_grad=trained)
    assert torch.equal(function(x, 1.0, INF), unclipped(x, 1.0))


@pytest.mark.parametrize("trained", [False, True])
@each_function
def test_an_infinite_start_stops_every_finite_value(function, trained):
    y = function(torch.tensor([-1e38, 0.0, 1e38, INF], requires_grad=trained), INF, 1.0)
    assert y[:3].eq(0).all()
    assert y[3].isnan()


def leaves() -> list[torch.Tensor]:
    values = (torch.tensor(X), torch.ones(10), torch.full((10,), 2.0))
    return [value.requires_grad_() for value in values]


def test_ties_are_pytorchs_at_the_start_and_the_limits_at_the_clip():
    x, tau, m = leaves()
    crelu(x, tau, m).backward(torch.ones(10))
    assert x.grad.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0]
    assert tau.grad.tolist() == [0, 0, 0, 0, 0, 0, -1, 0, 0, 0]
    assert m.grad.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 1, 1]


def test_ties_are_the_same_on_both_sides():
    x, tau, m = leaves()
    cst(x, tau, m).backward(torch.ones(10))
    assert x.grad.tolist() == [0, 0, 1, 0, 0, 0, 1, 0, 0, 0]
    assert tau.grad.tolist() == [0, 0, 1, 0, 0, 0, -1, 0, 0, 0]
    assert m.grad.tolist() == [-1, -1, 0, 0, 0, 0, 0, 1, 1, 1]


def composed(function):
    """``function`` in the form of its tensor operations, with the gradients of autograd."""

    def gradients(x, tau, m):
        def total(*inputs):
            return function(*inputs).sum()

        return torch.func.grad(total, argnums=(0, 1, 2))(x, tau, m)

    return gradients


@each_function
@pytest.mark.parametrize("tau", [0.0, 1.0])
@pytest.mark.parametrize("m", [0.0, 2.0, INF])
def test_every_form_agrees_on_ties(function, tau, m):
    # at an infinite input autograd's own factors are infinite times zero where m is 0
    inputs = [torch.tensor(X[1:-1]), torch.full((8,), tau), torch.full((8,), m)]
    blocked = [value.clone().requires_grad_() for value in inputs]
    function(*blocked).sum().backward()
    plain = [value.clone().requires_grad_() for value in inputs]
    differentiable = torch.autograd.grad(function(*plain).sum(), plain, create_graph=True)
    for found in (differentiable, composed(function)(*inputs)):
        for gradient, leaf in zip(found, blocked, strict=True):
            assert torch.equal(gradient, leaf.grad)


def test_a_limit_of_zero_takes_the_gradient_one_sided_and_none_two_sided():
    for function, expected in ((crelu, 2), (cst, 0)):
        x, m = torch.tensor([0.5, 3.0], requires_grad=True), torch.zeros(1, requires_grad=True)
        y = function(x, 1.0, m)
        y.sum().backward()
        assert y.tolist() == x.grad.tolist() == [0, 0]
        assert m.grad.tolist() == [expected]


@each_function
def test_an_infinite_gradient_stays_where_it_belongs(function):
    x = torch.tensor([0.5, 2.0, 9.0], requires_grad=True)
    tau, m = torch.ones(1, requires_grad=True), torch.full((1,), 2.0, requires_grad=True)
    function(x, tau, m).backward(torch.tensor([INF, 1.0, INF]))
    assert (x.grad.tolist(), tau.grad.tolist(), m.grad.tolist()) == ([0, 1, 0], [-1], [INF])


@each_function
@pytest.mark.parametrize("shapes", [((1,), (3, 1, 1)), ((3, 1, 1), (1,)), ((3, 4, 5), (3, 1, 1))])
@pytest.mark.parametrize("trained", [(True, True), (True, False), (False, True)])
def test_thresholds_of_different_granularity_train_alone_or_together(function, shapes, trained):
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn((2, 3, 4, 5), generator=generator, dtype=torch.float64)
    thresholds = [
        (torch.rand(shape, generator=generator, dtype=torch.float64) + 0.5).requires_grad_(train)
        for shape, train in zip(shapes, trained, strict=True)
    ]
    assert torch.autograd.gradcheck(function, (x.requires_grad_(), *thresholds), fast_mode=True)
    function(x, *thresholds).sum().backward()
    for threshold, train in zip(thresholds, trained, strict=True):
        assert (threshold.grad is not None) == train


@each_function
def test_half_precision_gradients_are_summed_in_single_precision(function):
    x = torch.full((100_000,), 9.0, dtype=torch.float16, requires_grad=True)
    tau, m = torch.zeros(1, requires_grad=True), torch.ones(1, requires_grad=True)
    function(x, tau, m).backward(torch.ones_like(x))
    assert (tau.grad.item(), m.grad.item()) == (0, 100_000)
