"""What finding and replacing must leave alone: buffers, modes, random states; and what it must not get wrong."""

import random

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from clipact.errors import SurgeryError
from clipact.nn import RangeRestricted, SaturatedReLU
from clipact.surgery import find_sites, replace_activations
from clipact.where import named

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
INF = float("inf")


def keep(site):
    return RangeRestricted(site.activation, -INF, INF)


class Observing(nn.Module):
    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("seen", torch.zeros(0))

    def forward(self, x):
        self.count.add_(1)
        self.mean = x.mean()
        self.seen.resize_(3).copy_(x[:, 0])
        random.random()
        return self.relu(x)


def test_buffers_and_random_states_stay(snapshot):
    model = Observing()
    before, state = snapshot(model), random.getstate()
    find_sites(model, X)
    replace_activations(model, keep, example=X).restore()
    before.assert_same()
    assert random.getstate() == state


def test_rrelu_as_a_function_has_one_slope():
    class Slope(nn.Module):
        def forward(self, x):
            return F.rrelu(x, 0.1, 0.5)

    model = Slope().train()
    golden = model(X)
    receipt = replace_activations(model, keep, example=X)
    assert torch.equal(model(X), golden)
    assert isinstance(receipt.changes[0][0].activation, nn.LeakyReLU)


def test_settings_that_differ_in_training_mode_are_refused(snapshot):
    class Slope(nn.Module):
        def forward(self, x):
            return F.leaky_relu(x, 0.5 if self.training else 0.1)

    model = Slope()
    before = snapshot(model)
    with pytest.raises(SurgeryError, match="other settings in training mode"):
        replace_activations(model, keep, example=X)
    before.assert_same()


def test_a_new_module_has_the_mode_of_the_old_one():
    model = nn.Sequential(nn.Linear(6, 6), nn.RReLU()).train()
    old = model[1].eval()
    golden = model(X)
    receipt = replace_activations(model, keep, example=X)
    assert torch.equal(model(X), golden)
    assert not model[1].training
    receipt.restore()
    assert model[1] is old
    assert model.training
    assert not old.training


def test_a_rewritten_forward_goes_back_after_what_relies_on_it(models, snapshot):
    model = models.Shared()
    before = snapshot(model)
    first = replace_activations(model, lambda _: nn.ReLU(), example=X, where=named("relu_2"))
    second = replace_activations(
        model, lambda _: SaturatedReLU(0.05), example=X, where=named("relu")
    )
    state = snapshot(model)
    with pytest.raises(SurgeryError, match="a later change lies on top of relu"):
        first.restore()
    state.assert_same()
    second.restore()
    first.restore()
    before.assert_same()
