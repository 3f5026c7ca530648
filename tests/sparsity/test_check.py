"""What is measured by depth is what a hand would measure, beside what the theory says of these weights."""

import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import clipact as ca
from clipact import sparsity
from clipact.errors import SelectionError


def test_variances_and_sparsities_are_those_by_hand():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Linear(8, 8), ca.nn.CReLU(0.1, 0.2)
    )
    x = torch.randn(32, 4)
    found = sparsity.check_(net, x)
    first = net[0](x)
    second = net[2](first.relu())
    assert [row.q for row in found] == pytest.approx(
        [first.square().mean().item(), second.square().mean().item()]
    )
    assert [row.sparsity for row in found] == pytest.approx(
        [(first <= 0).float().mean().item(), (second <= 0.1).float().mean().item()]
    )


def test_functions_too_and_modules_called_twice():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.act = nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU()

        def forward(self, x):
            x = self.act(self.a(x))
            x = self.act(self.b(x))
            return F.relu_(self.a(x))

    torch.manual_seed(0)
    net, x = Model(), torch.randn(16, 4)
    rows = sparsity.check_(net, x).rows
    one = net.a(x)
    two = net.b(one.relu())
    three = net.a(two.relu())
    assert [row.q for row in rows] == pytest.approx(
        [each.square().mean().item() for each in (one, two, three)]
    )


@pytest.mark.parametrize(
    "activation",
    [nn.ReLU(), ca.nn.ShiftedReLU(0.5), ca.nn.SoftThreshold(0.3), ca.nn.CReLU(0.5, 0.7), ca.nn.CST(0.4, 0.6)],
    ids=lambda module: type(module).__name__,
)  # fmt: skip
def test_the_theory_follows_any_weights(activation):
    """Wide layers with weights of some other scale: measured and expected agree to what the width allows."""
    torch.manual_seed(0)
    net = nn.Sequential()
    for _ in range(4):
        layer = nn.Linear(2000, 2000)
        nn.init.normal_(layer.weight, std=1.3 / math.sqrt(2000))
        nn.init.normal_(layer.bias, std=0.4)
        net.append(layer).append(activation)
    found = sparsity.check_(net, torch.randn(16, 2000))
    assert len(found) == 4
    assert found.q_deviation < 0.12
    assert found.sparsity_deviation < 0.02
    assert found.rows[0].expected_q == pytest.approx(1.85, rel=0.05)


def test_one_activation_object_in_several_places():
    activation = ca.nn.CReLU(0.5, 0.7)
    net = nn.Sequential(nn.Linear(500, 500), activation, nn.Linear(500, 500), activation)
    found = sparsity.check_(net, torch.randn(16, 500))
    assert [row.name for row in found] == ["1", "3"]
    assert not any(math.isnan(row.expected_sparsity) for row in found)


def test_where_the_theory_says_nothing():
    net = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 4), nn.GELU())
    rows = sparsity.check_(net, torch.randn(16, 4)).rows
    assert math.isnan(rows[0].expected_q)
    assert math.isnan(rows[1].expected_sparsity)
    assert rows[0].q == pytest.approx(1.0, abs=1e-3)
    assert rows[1].expected_q > 0


def test_overflow_is_shown():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU())
    nn.init.constant_(net[0].weight, 3e38)
    nn.init.constant_(net[2].weight, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = sparsity.check_(net, torch.ones(2, 4))
    assert found.rows[1].not_finite > 0
    assert found.q_deviation == math.inf
    assert "the first '1'" in str(found)


def test_the_network_is_left_as_it_was():
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = torch.randn(8, 4)
    kept = x.clone()
    sparsity.check_(net, x)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(module.training for module in net.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert torch.equal(x, kept)


def test_a_network_without_activations():
    with pytest.raises(SelectionError, match="no activation that ran"):
        sparsity.check_(nn.Linear(2, 2), torch.ones(1, 2))


def test_tables():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    found = sparsity.check_(net, torch.randn(16, 4))
    assert str(found).splitlines()[0].split() == [
        "site",
        "kind",
        "q",
        "theory",
        "sparsity",
        "theory",
    ]
    assert found.to_pandas()["q"].tolist() == [found.rows[0].q]


def test_an_empty_batch_has_no_sparsity():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    found = sparsity.check_(net, torch.empty(0, 4))
    assert [math.isnan(row.sparsity) for row in found] == [True]
    assert "ReLU" in str(found)
