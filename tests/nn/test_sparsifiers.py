"""Sparsifying modules from a wanted sparsity, with thresholds that train, per layer and per channel."""

import math

import pytest
import torch

from clipact.errors import SparsityError
from clipact.nn import CST, CReLU, ShiftedReLU, SoftThreshold

SHIFTED, CLIPPED = [ShiftedReLU, SoftThreshold], [CReLU, CST]


@pytest.mark.parametrize("kind", [*SHIFTED, *CLIPPED])
@pytest.mark.parametrize(("sparsity", "q_star"), [(0.6, 1.0), (0.85, 5.0), (0.97, 0.2)])
def test_the_share_of_zeros_is_the_one_that_was_asked_for(kind, sparsity, q_star):
    x = torch.randn(500_000, generator=torch.Generator().manual_seed(0)) * math.sqrt(q_star)
    y = kind.from_sparsity(sparsity, q_star=q_star)(x)
    assert (y == 0).double().mean() == pytest.approx(sparsity, abs=0.002)


def test_figures_of_the_reference():
    published = CReLU.from_sparsity(0.85, 0.9)
    assert published.tau.item() == pytest.approx(1.036433, abs=1e-6)
    assert published.m.item() == pytest.approx(1.739491, abs=1e-6)
    five = CReLU.from_sparsity(0.85, 0.9, 5.0)
    assert five.m.item() == pytest.approx(math.sqrt(5) * published.m.item())


def test_granularity_and_training_are_as_for_any_threshold():
    act = CST.from_sparsity(0.85, shape=(3, 1, 1))
    assert act.tau.shape == act.m.shape == (3, 1, 1)
    assert not act.tau.requires_grad
    assert SoftThreshold.from_sparsity(0.85, shape=(4,)).tau.shape == (4,)


@pytest.mark.parametrize("kind", [*SHIFTED, *CLIPPED])
def test_what_cannot_be_is_refused_by_name(kind):
    for bad in (0.0, 1.0, -0.5, math.nan):
        with pytest.raises(SparsityError, match=f"{kind.__name__} was asked for a sparsity"):
            kind.from_sparsity(bad)
    with pytest.raises(SparsityError, match="q_star is 0"):
        kind.from_sparsity(0.8, q_star=0.0)
    with pytest.raises(SparsityError, match=f"{kind.__name__} was asked for a slope of 1"):
        kind.from_sparsity(0.8, 1.0)


@pytest.mark.parametrize("kind", [ShiftedReLU, CReLU])
def test_one_sided_ones_start_at_half(kind):
    with pytest.raises(SparsityError, match=r"tau below 0.* from a sparsity of 0\.5 on"):
        kind.from_sparsity(0.4)
    assert kind.from_sparsity(0.5).tau.item() == 0.0


@pytest.mark.parametrize("kind", CLIPPED)
def test_gradients_of_channel_thresholds_are_sums_over_what_they_moved(kind):
    x = torch.randn(4, 3, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tau = torch.tensor([0.2, 0.5, 1.0], dtype=torch.float64).reshape(3, 1, 1)
    m = torch.tensor([0.3, 0.6, 0.4], dtype=torch.float64).reshape(3, 1, 1)
    act = kind(tau, m).requires_grad_()
    weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (act(x) * weight).sum().backward()
    size, sign = (x.abs(), x.sign()) if kind is CST else (x, torch.ones_like(x))
    inside = (size > tau) & (size < tau + m)
    held = size >= tau + m
    expected_tau = -(weight * sign * inside).sum((0, 2, 3)).reshape(3, 1, 1)
    expected_m = (weight * sign * held).sum((0, 2, 3)).reshape(3, 1, 1)
    torch.testing.assert_close(act.tau.grad, expected_tau)
    torch.testing.assert_close(act.m.grad, expected_m)


@pytest.mark.parametrize("kind", [*SHIFTED, *CLIPPED])
def test_a_threshold_that_is_trained_below_zero_acts_as_zero_and_comes_back(kind):
    act = kind(0.05, 1.0) if kind in CLIPPED else kind(0.05)
    act.requires_grad_()
    x = torch.linspace(-0.9, 0.9, 31)
    down = torch.optim.SGD([act.tau], lr=0.01)
    (-act(x).abs().sum()).backward()  # more output wants a smaller tau
    down.step()
    assert act.tau.item() < 0.0
    at_zero = kind(0.0, 1.0) if kind in CLIPPED else kind(0.0)
    assert torch.equal(act(x), at_zero(x))
    act.tau.grad = None
    act(x).abs().sum().backward()
    at_zero.requires_grad_()
    at_zero(x).abs().sum().backward()
    assert torch.equal(act.tau.grad, at_zero.tau.grad)
    assert act.tau.grad.item() < 0.0
    down.step()
    assert act.tau.item() > 0.0


@pytest.mark.parametrize("kind", [*SHIFTED, *CLIPPED])
def test_a_threshold_that_was_trained_below_zero_acts_as_zero_when_it_is_frozen(kind):
    trained = (kind(0.05, 0.5) if kind in CLIPPED else kind(0.05)).requires_grad_()
    with torch.no_grad():
        trained.tau.fill_(-0.3)
    fresh = kind(0.05, 0.5) if kind in CLIPPED else kind(0.05)
    fresh.load_state_dict(trained.state_dict())
    x = torch.linspace(-0.9, 0.9, 31)
    assert not fresh.tau.requires_grad
    assert torch.equal(fresh(x), trained(x))
    at_zero = kind(0.0, 0.5) if kind in CLIPPED else kind(0.0)
    assert torch.equal(fresh.out_of_range(x), at_zero.out_of_range(x))


@pytest.mark.parametrize("kind", CLIPPED)
def test_a_limit_that_is_trained_below_zero_gives_zero(kind):
    act = kind(0.1, 0.2).requires_grad_()
    with torch.no_grad():
        act.m.fill_(-0.3)
    assert not act(torch.linspace(-2, 2, 9)).any()


def test_infinite_thresholds_stay_what_they_are_in_training():
    act = CReLU(0.5, math.inf).requires_grad_()
    assert act(torch.tensor([-1.0, 2.0])).tolist() == [0.0, 1.5]
