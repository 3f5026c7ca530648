import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck

from clipact.sparsity import sparse_linear
from clipact.sparsity._skipping._sparse_linear import estimate_nonzeros

SHAPES = [(7,), (1, 7), (4, 7), (2, 3, 7), (0, 7), (2, 0, 7), (1, 2, 3, 7)]


def sparse(*shape, density=0.4, dtype=torch.float64):
    return (torch.randn(shape) * (torch.rand(shape) < density)).to(dtype)


def by_columns(*shape, dtype=torch.float64):
    return torch.randn(shape).to(dtype).t().contiguous().t()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("with_bias", [True, False])
def test_it_is_the_dense_layer(shape, with_bias):
    x, weight = sparse(*shape), by_columns(5, 7)
    bias = torch.randn(5).double() if with_bias else None
    y = sparse_linear(x, weight, bias)
    assert y.shape == (*shape[:-1], 5)
    torch.testing.assert_close(y, F.linear(x, weight, bias), rtol=0, atol=1e-14)


def test_many_elements_take_the_other_search_for_nonzeros():
    x, weight = sparse(64, 200), by_columns(5, 200)
    assert x.numel() > 2**12
    torch.testing.assert_close(sparse_linear(x, weight), F.linear(x, weight), rtol=0, atol=1e-13)


def test_nonzeros_are_counted_exactly_of_few_and_estimated_of_many():
    few, many = sparse(4, 1000), sparse(64, 1024, density=0.15)
    assert estimate_nonzeros(few) == int(torch.count_nonzero(few))
    assert abs(estimate_nonzeros(many) / many.numel() - 0.15) < 0.03
    assert estimate_nonzeros(many.t().contiguous().t()) == estimate_nonzeros(many)
    assert estimate_nonzeros(torch.zeros(64, 1024)) == 0
    assert estimate_nonzeros(torch.ones(64, 1024)) == 64 * 1024


def test_the_sample_visits_all_features():
    x = torch.zeros(64, 1024)
    x[:, ::16] = 1.0
    assert abs(estimate_nonzeros(x) / x.numel() - 1 / 16) < 0.01
    x = torch.zeros(64, 1024)
    x[::4] = 1.0
    assert abs(estimate_nonzeros(x) / x.numel() - 1 / 4) < 0.01


@pytest.mark.parametrize("x", [torch.zeros(1, 7), torch.zeros(3, 7), -torch.zeros(1, 7)])
def test_nothing_but_zeros_gives_the_bias(x):
    weight, bias = by_columns(5, 7, dtype=torch.float32), torch.randn(5)
    assert torch.equal(sparse_linear(x, weight, bias), bias.expand(len(x), 5))
    assert torch.equal(sparse_linear(x, weight), torch.zeros(len(x), 5))


def test_empty_rows_between_others():
    x, weight = sparse(5, 7), by_columns(3, 7)
    x[0], x[2], x[4] = 0, 0, 0
    torch.testing.assert_close(sparse_linear(x, weight), F.linear(x, weight), rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rows", [1, 4])
def test_in_every_precision(dtype, rows):
    x, weight = sparse(rows, 300, dtype=dtype), by_columns(50, 300, dtype=dtype)
    y = sparse_linear(x, weight)
    assert y.dtype == dtype
    exact = F.linear(x.double(), weight.double())
    magnitude = F.linear(x.double().abs(), weight.double().abs())
    sums = min(
        torch.finfo(dtype).eps, torch.finfo(torch.float32).eps
    )  # half precision is summed in single
    bound = torch.finfo(dtype).eps * exact.abs() + 300 * sums * magnitude
    assert bool(((y.double() - exact).abs() <= bound).all())


@pytest.mark.parametrize("rows", [1, 3])
def test_gradients_are_those_of_the_dense_layer_at_zeros_too(rows):
    x, weight, bias = sparse(rows, 7), by_columns(5, 7), torch.randn(5).double()
    x[0] = 0
    ours = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
    theirs = [tensor.clone().requires_grad_() for tensor in (x, weight, bias)]
    upstream = torch.randn(rows, 5).double()
    sparse_linear(*ours).backward(upstream)
    F.linear(*theirs).backward(upstream)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=0, atol=1e-14)
    assert ours[0].grad.count_nonzero() == ours[0].numel()


def test_first_and_second_derivatives():
    x = torch.randn(3, 4).double().requires_grad_()  # no zero: there the sparse form does not move
    weight, bias = by_columns(2, 4).requires_grad_(), torch.randn(2).double().requires_grad_()
    assert gradcheck(sparse_linear, (x, weight, bias))
    assert gradgradcheck(sparse_linear, (x, weight, bias))


@pytest.mark.parametrize("which", [0, 1, 2])
def test_only_what_asks_for_a_gradient_gets_one(which):
    tensors = [sparse(2, 7), by_columns(5, 7), torch.randn(5).double()]
    tensors[which].requires_grad_()
    sparse_linear(*tensors).sum().backward()
    assert [tensor.grad is not None for tensor in tensors] == [at == which for at in range(3)]


def test_the_weight_gradient_is_laid_out_as_the_weight():
    weight = by_columns(5, 7).requires_grad_()
    sparse_linear(sparse(2, 7), weight).sum().backward()
    assert weight.grad.stride() == weight.stride()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_inputs_that_are_not_finite_count(value):
    x, weight = sparse(2, 7), by_columns(3, 7)
    x[1, 2] = value
    dense = F.linear(x, weight)
    assert not dense[1].isfinite().any()
    torch.testing.assert_close(sparse_linear(x, weight), dense, equal_nan=True)


def test_a_weight_that_is_not_finite_shows_only_where_its_input_is_not_zero():
    x, weight = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([[float("nan"), 2.0]])
    y = sparse_linear(x, weight)
    assert y[0].item() == 2.0
    assert y[1].isnan()


def test_inputs_may_lie_in_memory_as_they_like():
    wide = sparse(7, 4)
    for x in (wide.t(), sparse(8, 7)[::2], sparse(1, 7).expand(3, 7), sparse(4, 14)[:, ::2]):
        before, weight = x.clone(), by_columns(5, 7)
        torch.testing.assert_close(
            sparse_linear(x, weight), F.linear(x, weight), rtol=0, atol=1e-13
        )
        assert torch.equal(x, before)


def test_a_weight_by_rows_gives_the_same():
    x, weight = sparse(2, 7), torch.randn(5, 7).double()
    torch.testing.assert_close(sparse_linear(x, weight), F.linear(x, weight), rtol=0, atol=1e-14)


def test_in_inference_mode():
    with torch.inference_mode():
        x, weight = sparse(2, 7), by_columns(5, 7)
        assert torch.allclose(sparse_linear(x, weight), F.linear(x, weight))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(RuntimeError):
        sparse_linear(torch.zeros(2, 6), torch.zeros(5, 7))
