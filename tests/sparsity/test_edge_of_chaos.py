"""Points at the edge of chaos: what they say, what they warn of, and what a network at one does."""

import dataclasses
import itertools
import math
import warnings

import pytest
import torch
from torch.nn.functional import silu

import clipact as ca
from clipact.errors import SparsityError, StabilityWarning
from clipact.nn import CST, CReLU, ShiftedReLU, SoftThreshold
from clipact.sparsity import edge_of_chaos, edge_of_chaos_of


def quietly(*arguments, **named):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StabilityWarning)
        return edge_of_chaos(*arguments, **named)


@pytest.mark.parametrize("kind", [CReLU, CST, ShiftedReLU, SoftThreshold])
def test_a_point_keeps_the_variance_and_builds_its_activation(kind):
    point = quietly(kind, 0.85, q_star=3.0)
    generator = torch.Generator().manual_seed(0)
    x = math.sqrt(3.0) * torch.randn(400_000, generator=generator)
    y = point.activation()(x)
    assert (y == 0).double().mean() == pytest.approx(0.85, abs=0.003)
    after = point.sigma_w**2 * y.double().square().mean().item() + point.sigma_b**2
    assert after == pytest.approx(3.0, abs=0.06)
    assert point.chi == pytest.approx(1.0)


def test_a_point_is_printed_as_a_table():
    text = str(edge_of_chaos(CReLU, 0.85))
    assert text.splitlines()[0].split() == ["CReLU", "edge", "of", "chaos"]
    for row in ("tau  1.036433", "m  1.279600", "sigma_w  2.675272", "delta  5.38"):
        assert " ".join(row.split()) in " ".join(text.split())
    assert "second fixed point           none" in text
    unclipped = " ".join(str(quietly(ShiftedReLU, 0.85)).split())
    assert " m none " in unclipped


def test_a_point_is_frozen_and_comparable():
    point = edge_of_chaos(CReLU, 0.85)
    assert point == edge_of_chaos(CReLU, sparsity=0.85, slope=None, q_star=1.0)
    assert point != edge_of_chaos(CReLU, 0.85, 0.5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.tau = 1.0


def test_thresholds_have_the_granularity_that_is_asked_for():
    channel = edge_of_chaos(CST, 0.85).activation(shape=(3, 1, 1))
    assert channel.tau.shape == channel.m.shape == (3, 1, 1)
    assert quietly(SoftThreshold, 0.85).activation(shape=(5,)).tau.shape == (5,)


@pytest.mark.parametrize(
    ("kind", "sparsity", "slope", "message"),
    [
        (CReLU, 0.85, 0.9, r"CReLU at sparsity 0\.85, slope 0\.9 has delta 0\.49, below 1.*lower the slope"),
        (CST, 0.8, 0.9, r"delta 0\.29"),
        (ShiftedReLU, 0.7, None, "has no clip.*use CReLU or CST"),
        (SoftThreshold, 0.3, None, "has no clip"),
    ],
)  # fmt: skip
def test_risky_points_warn_and_say_what_to_change(kind, sparsity, slope, message):
    with pytest.warns(StabilityWarning, match=message) as caught:
        edge_of_chaos(kind, sparsity, slope)
    assert caught[0].filename == __file__


def test_default_slopes_and_a_plain_relu_do_not_warn():
    for sparsity in (0.5, 0.7, 0.85, 0.9, 0.95):
        edge_of_chaos(CReLU, sparsity)
        edge_of_chaos(CST, sparsity, q_star=5.0)
    relu = edge_of_chaos(ShiftedReLU, 0.5)
    assert (relu.sigma_w**2, relu.sigma_b, relu.tau) == (pytest.approx(2.0), 0.0, 0.0)


def test_a_second_fixed_point_near_warns_even_at_a_safe_delta():
    with pytest.warns(
        StabilityWarning, match=r"second fixed point at variance .*, below 10 q\* = 10"
    ):
        assert edge_of_chaos(CST, 0.999, 0.3).delta > 1


@pytest.mark.parametrize("wrong", [torch.nn.ReLU, "crelu", CReLU(1.0, 1.0), ca.nn.HyReLU])
def test_a_kind_that_is_none(wrong):
    with pytest.raises(SparsityError, match=r"edge_of_chaos\(\) got .* use edge_of_chaos_of\(\)"):
        edge_of_chaos(wrong, 0.85)


def test_what_cannot_be_is_refused_by_name():
    with pytest.raises(SparsityError, match=r"CST was asked for a sparsity of 1\.2"):
        edge_of_chaos(CST, 1.2)
    with pytest.raises(SparsityError, match="CReLU was asked for a slope of 1;"):
        edge_of_chaos(CReLU, 0.8, 1.0)
    with pytest.raises(
        SparsityError, match=r"ShiftedReLU was asked for a slope of 0\.5, but it has no"
    ):
        edge_of_chaos(ShiftedReLU, 0.8, 0.5)
    with pytest.raises(SparsityError, match="q_star is -1"):
        edge_of_chaos(CReLU, 0.8, q_star=-1.0)
    with pytest.raises(SparsityError, match="q_star is 0"):
        edge_of_chaos_of(torch.tanh, q_star=0.0)


@pytest.mark.filterwarnings("ignore::clipact.errors.StabilityWarning")
def test_a_point_of_any_activation_has_none_to_build():
    point = edge_of_chaos_of(silu)
    with pytest.raises(SparsityError, match="silu has no thresholds to build"):
        point.activation()


class _Net(torch.nn.Module):
    """Three hidden layers, at the point of its own variance, drawn from the same normals."""

    def __init__(self, q_star):
        super().__init__()
        point = edge_of_chaos(CReLU, 0.85, 0.7, q_star)
        generator = torch.Generator().manual_seed(0)
        sizes = [6, 40, 40, 40, 3]
        self.layers = torch.nn.ModuleList(
            torch.nn.Linear(a, b, dtype=torch.float64) for a, b in itertools.pairwise(sizes)
        )  # fmt: skip
        law = point.moments
        thresholds = [torch.tensor([v], dtype=torch.float64) for v in (law.tau, law.m)]
        self.activations = torch.nn.ModuleList(CReLU(*thresholds) for _ in range(3))
        for place, layer in enumerate(self.layers):
            sigma = math.sqrt(q_star - point.sigma_b**2) if place == 0 else point.sigma_w
            for parameter, scale in (
                (layer.weight, sigma / math.sqrt(layer.in_features)),
                (layer.bias, point.sigma_b),
            ):
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.data.copy_(scale * noise)

    def forward(self, x):
        for layer, activation in zip(self.layers, self.activations, strict=False):
            x = activation(layer(x))
        return self.layers[-1](x)


def test_a_larger_variance_is_the_same_network_with_other_learning_rates():
    """Logits times root q*; rates of biases, thresholds and first layer divided by q*."""
    q, rate = 5.0, 0.05
    one, other = _Net(1.0), _Net(q)
    x = torch.randn(32, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = torch.randint(3, (32,), generator=torch.Generator().manual_seed(2))
    optimizers = []
    for net, slow, scale in ((one, 1 / q, math.sqrt(q)), (other, 1.0, 1.0)):
        net.requires_grad_()
        scaled = {id(p) for p in net.parameters() if p.dim() < 2} | {id(net.layers[0].weight)}
        groups = [
            {"params": [p for p in net.parameters() if id(p) in scaled], "lr": rate * slow},
            {"params": [p for p in net.parameters() if id(p) not in scaled], "lr": rate},
        ]
        optimizers.append((net, torch.optim.SGD(groups, lr=rate), scale))
    for _ in range(20):
        losses = []
        for net, optimizer, scale in optimizers:
            loss = torch.nn.functional.cross_entropy(scale * net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    assert losses[0] < 1.3
    torch.testing.assert_close(math.sqrt(q) * one(x), other(x), rtol=1e-11, atol=1e-12)
    assert not torch.equal(other.activations[0].tau, _Net(q).activations[0].tau)
