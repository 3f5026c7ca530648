"""The largest values of each row: which, how many, with what gradient; and competition that is evened out."""

import math

import numpy as np
import pytest
import torch

from clipact import nn
from clipact.errors import SparsityError, ThresholdError
from clipact.functional import k_winners


def sample(*shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def reference(row, sparsity):
    k = max(1, round((1 - sparsity) * row.size))
    out, flat = np.zeros(row.size), row.ravel()
    best = np.argsort(flat)[-k:]
    out[best] = flat[best]
    return out.reshape(row.shape)


@pytest.mark.parametrize("sparsity", [0.01, 0.5, 0.85, 0.999])
def test_it_is_its_definition_over_features_maps_and_channels(sparsity):
    x = sample(4, 5, 6, 7)
    maps = np.stack([reference(one, sparsity) for one in x.numpy()])
    assert np.array_equal(k_winners(x, sparsity, dims=(-3, -2, -1)).numpy(), maps)
    features = np.apply_along_axis(reference, -1, x.numpy(), sparsity)
    assert np.array_equal(k_winners(x, sparsity).numpy(), features)
    channels = np.apply_along_axis(reference, 1, x.numpy(), sparsity)
    assert np.array_equal(k_winners(x, sparsity, dims=-3).numpy(), channels)


def test_as_many_win_as_there_is_place_for_also_among_equals():
    assert (k_winners(torch.ones(3, 40), 0.85) != 0).sum(1).tolist() == [6, 6, 6]


def test_gradients_are_those_of_the_winners():
    x = sample(3, 20).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: k_winners(x, 0.7), (x,))
    assert torch.autograd.gradgradcheck(lambda x: k_winners(x, 0.7).square(), (x,))
    (grad,) = torch.autograd.grad(k_winners(x, 0.7).sum(), x)
    assert torch.equal(grad, (k_winners(x, 0.7) != 0).double())


def test_a_boost_decides_who_wins_but_not_with_what():
    x = torch.tensor([[1.0, 1.1, 1.2]])
    boost = torch.tensor([0.5, 0.0, 0.0], requires_grad=True)
    y = k_winners(x.requires_grad_(), 0.7, boost)
    assert y.tolist() == [[1.0, 0.0, 0.0]]
    y.sum().backward()
    assert boost.grad is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_shape_dtype_and_layout_are_kept(dtype):
    x = sample(2, 3, 4, 5, dtype=dtype).to(memory_format=torch.channels_last)
    before = x.clone()
    y = k_winners(x.requires_grad_(), 0.8, dims=(-3, -2, -1))
    assert (y.dtype, y.shape) == (dtype, x.shape)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(x, before)
    plain = k_winners(before.contiguous(), 0.8, dims=(-3, -2, -1))
    assert torch.equal(y, plain)
    assert (y != 0).sum((1, 2, 3)).tolist() == [12, 12]


def test_infinities_and_nan():
    x = torch.tensor([1.0, math.inf, -math.inf, 2.0])
    assert k_winners(x, 0.5).tolist() == [0.0, math.inf, 0.0, 2.0]
    assert k_winners(torch.tensor([1.0, math.nan, 3.0, 2.0]), 0.7)[1].isnan()


def test_scalars_and_empty_inputs():
    assert k_winners(torch.tensor(-3.0), 0.9) == -3.0
    assert k_winners(torch.zeros(0, 5), 0.9).shape == (0, 5)


def test_vmap_and_forward_mode():
    x = sample(3, 4, 20)
    mapped = torch.func.vmap(lambda row: k_winners(row, 0.7))(x)
    assert torch.equal(mapped, k_winners(x, 0.7))
    _, tangent = torch.func.jvp(lambda x: k_winners(x, 0.7), (x,), (torch.ones_like(x),))
    assert torch.equal(tangent, (mapped != 0).double())


@pytest.mark.slow
def test_it_compiles_in_one_graph():
    torch._dynamo.reset()
    module = nn.KWinners(0.7, features=32, boost=1.0).eval()
    x = sample(8, 32, dtype=torch.float32)
    assert torch.equal(torch.compile(module, fullgraph=True)(x), module(x))


def test_the_modules_are_the_function():
    x = sample(4, 3, 5, 6)
    assert torch.equal(nn.KWinners(0.8)(x), k_winners(x, 0.8))
    assert torch.equal(nn.KWinners2d(0.8)(x), k_winners(x, 0.8, dims=(-3, -2, -1)))
    assert torch.equal(nn.KWinners2d(0.8)(x[0]), k_winners(x[0], 0.8, dims=(-3, -2, -1)))
    assert not nn.KWinners(0.8).state_dict()
    assert repr(nn.KWinners(0.8)) == "KWinners(sparsity=0.8)"
    assert repr(nn.KWinners2d(0.8, channels=3, boost=2.0)) == "KWinners2d(sparsity=0.8, boost=2)"
    assert torch.fx.symbolic_trace(nn.KWinners(0.8))(x).equal(k_winners(x, 0.8))


def winning(module, steps=600):
    """How often each unit won, when the first ones are stronger."""
    generator = torch.Generator().manual_seed(0)
    strength = torch.linspace(2.0, 1.0, 20)
    won = torch.zeros(20)
    for step in range(steps):
        x = torch.rand(16, 20, generator=generator) * strength
        won += (module(x) != 0).float().mean(0) * (step >= steps // 2)
    return won / (steps - steps // 2)


def test_a_boost_evens_out_who_wins():
    fair = winning(nn.KWinners(0.8))
    module = nn.KWinners(0.8, features=20, boost=8.0, momentum=0.02)
    boosted = winning(module)
    assert [boosted.mean().item(), fair.mean().item()] == pytest.approx([0.2, 0.2])
    assert boosted.std() < fair.std() / 3
    torch.testing.assert_close(module.duty_cycle, boosted, atol=0.05, rtol=0)


def test_the_duty_cycle_is_a_moving_average_kept_in_training_only():
    module = nn.KWinners2d(0.5, channels=2, boost=1.0, momentum=0.25)
    x = torch.tensor([[[[5.0, 6.0]], [[1.0, 2.0]]]])
    module(x)
    torch.testing.assert_close(module.duty_cycle, torch.tensor([0.625, 0.375]))
    before = module.eval().duty_cycle.clone()
    module(x)
    assert torch.equal(module.duty_cycle, before)
    other = nn.KWinners2d(0.5, channels=2, boost=1.0)
    other.load_state_dict(module.state_dict())
    assert torch.equal(other.duty_cycle, before)


def test_training_under_autograd_and_a_boost():
    module = nn.KWinners(0.5, features=4, boost=1.0)
    layer = torch.nn.Linear(3, 4)
    for _ in range(2):
        module(layer(torch.ones(5, 3))).sum().backward()
    assert layer.weight.grad is not None
    assert not module.duty_cycle.requires_grad


@pytest.mark.parametrize("module", [nn.KWinners, nn.KWinners2d])
def test_what_cannot_be_is_refused(module):
    for bad in (0.0, 1.0, 2.0, math.nan):
        with pytest.raises(SparsityError, match="between 0 and 1"):
            module(bad)
        with pytest.raises(SparsityError, match="between 0 and 1"):
            k_winners(torch.ones(3), bad)
    with pytest.raises(SparsityError, match=r"no (features|channels)=; it needs their number"):
        module(0.5, boost=1.0)
    with pytest.raises(SparsityError, match="at least 0"):
        module(0.5, boost=-1.0)
    with pytest.raises(SparsityError, match="momentum"):
        module(0.5, momentum=0.0)
    with pytest.raises(ThresholdError, match="int64"):
        module(0.5)(torch.ones(2, 2, 3, 3, dtype=torch.int64))


@pytest.mark.parametrize("dims", [-3, 2, (-3, -2, -1)])
def test_a_dimension_that_the_input_lacks_is_refused(dims):
    with pytest.raises(
        ThresholdError, match=r"input of shape \(2, 8\), which has no such dimension"
    ):
        k_winners(torch.ones(2, 8), 0.5, dims=dims)


@pytest.mark.parametrize("boost", [0.0, 1.0])
def test_maps_are_not_taken_from_rows(boost):
    with pytest.raises(ThresholdError, match="no such dimension"):
        nn.KWinners2d(0.5, channels=8, boost=boost)(torch.ones(2, 8))


def test_a_boost_of_other_units_is_refused_and_the_duty_cycle_stays():
    act = nn.KWinners(0.5, features=3, boost=1.0)
    with pytest.raises(ThresholdError, match=r"boost of shape \(3,\) .* shape \(2, 4\)"):
        act(torch.ones(2, 4))
    assert act.duty_cycle.tolist() == [0.5] * 3


def test_a_number_of_units_below_one_is_refused():
    with pytest.raises(SparsityError, match="features=0; it is their number"):
        nn.KWinners(0.5, features=0, boost=1.0)
