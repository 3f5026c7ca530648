"""The meter counts exactly, forward and backward, whatever the model is made of."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

import clipact as ca
from clipact.errors import SelectionError, SparsityError, SurgeryError
from clipact.sparsity import SparsityMeter


class Mixed(nn.Module):
    """A shared module, a functional call, a method in place and a sparsifier."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU()
        self.sparse = ca.nn.CReLU(0.2, 1.0)

    def forward(self, x):
        x = self.relu(self.first(x))
        x = self.relu(self.second(x))
        x = self.second(x).relu_()
        x = F.gelu(self.second(x)).flatten(1)
        return self.sparse(x - 0.1)


def by_hand(model, x):
    """Outputs of the sites of Mixed and the gradients with respect to their inputs."""
    inputs, outputs = [], []

    def through(function, value):
        inputs.append(value)
        value.retain_grad()
        outputs.append(function(value))
        return outputs[-1]

    x = through(F.relu, model.first(x))
    x = through(F.relu, model.second(x))
    x = through(F.relu, model.second(x))
    x = through(F.gelu, model.second(x)).flatten(1)
    x = through(model.sparse, x - 0.1)
    x.sum().backward()
    return outputs, [value.grad for value in inputs]


def test_counts_are_those_made_by_hand_over_several_batches():
    torch.manual_seed(0)
    model = Mixed()
    batches = [torch.randn(3, 2, 6, 6), torch.randn(5, 2, 6, 6)]
    with SparsityMeter(model) as meter:
        for batch in batches:
            model(batch).sum().backward()
    expected = [by_hand(model, batch) for batch in batches]
    table = meter.table()
    assert [row.name for row in table] == ["relu", "relu_2", "relu_3", "gelu", "sparse"]
    for place, row in enumerate(table):
        outputs = torch.cat([outputs[place].flatten() for outputs, _ in expected])
        gradients = torch.cat([gradients[place].flatten() for _, gradients in expected])
        assert row.values == row.gradient_values == outputs.numel()
        assert row.zeros == int((outputs == 0).sum())
        assert row.gradient_zeros == int((gradients == 0).sum()), row.name
        assert row.not_finite == 0
    zeros = sum(row.zeros for row in table)
    assert table.sparsity == zeros / sum(row.values for row in table)


def test_the_model_is_left_as_it_was_after_an_exception():
    model = Mixed()
    hooks = [len(module._forward_hooks) for module in model.modules()]
    with pytest.raises(RuntimeError, match="stop"), SparsityMeter(model):
        raise RuntimeError("stop")
    assert [len(module._forward_hooks) for module in model.modules()] == hooks
    assert model.relu is model._modules["relu"]


def test_dead_and_always_on_units_over_all_batches():
    model = nn.Sequential(nn.ReLU())
    first = torch.tensor([[[[-1.0]], [[1.0]], [[1.0]]]])  # channels: dead so far, on, on
    second = torch.tensor([[[[-1.0]], [[-1.0]], [[2.0]]]])
    with SparsityMeter(model) as meter:
        model(first)
        model(second)
    row = meter.table()["0"]
    assert (row.units, row.dead, row.always_on) == (3, 1, 1)
    assert meter.activity("0").tolist() == [0.0, 0.5, 1.0]
    meter.reset()
    assert str(meter) == "no site has run yet"


def test_units_may_be_neurons():
    model = nn.Sequential(nn.ReLU())
    with SparsityMeter(model, units="neuron") as meter:
        model(torch.tensor([[[[-1.0, 1.0]]], [[[-1.0, -1.0]]]]))
        assert meter.activity("0").tolist() == [[[0.0, 0.5]]]
        with pytest.raises(SparsityError, match="units of shape"):
            model(torch.ones(2, 1, 1, 3))


def test_channels_of_sequences_and_of_conv1d():
    model = nn.Sequential(nn.ReLU())
    with SparsityMeter(model) as meter:
        model(torch.ones(2, 5, 3))
    assert meter.table()["0"].units == 3
    with SparsityMeter(model, channel_dim=1) as meter:
        model(torch.ones(2, 5, 3))
    assert meter.table()["0"].units == 5


def test_what_is_not_finite_is_counted_and_breaks_nothing():
    model = nn.Sequential(ca.nn.ShiftedReLU(1.0))
    x = torch.tensor([[float("nan"), float("inf"), -float("inf"), 3.0]], requires_grad=True)
    with SparsityMeter(model) as meter:
        model(x).sum().backward()
    row = meter.table()["0"]
    assert (row.zeros, row.not_finite) == (1, 2)
    assert "2 values are NaN or infinite" in str(meter)


def test_a_checkpointed_forward_counts_once():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    x = torch.randn(16, 4, requires_grad=True)
    for reentrant in (False, True):
        with SparsityMeter(model) as meter:
            checkpoint(model, x, use_reentrant=reentrant).sum().backward()
        row = meter.table()["1"]
        assert row.values == row.gradient_values == 128
        assert row.gradient_zeros == row.zeros


def test_evaluation_has_no_gradients():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    with torch.no_grad(), SparsityMeter(model) as meter:
        model(torch.randn(16, 4))
    assert meter.table()["1"].gradient_values == 0
    assert meter.table().gradient_sparsity != meter.table().gradient_sparsity


def test_any_kind_of_site():
    model = nn.Sequential(nn.Linear(4, 4), nn.Softshrink(0.3), nn.Dropout(0.5))
    with SparsityMeter(model, kinds=(nn.Softshrink, nn.Dropout)) as meter:
        model(torch.randn(64, 4))
    table = meter.table()
    assert table["2"].zeros >= table["1"].zeros > 0


def test_where_picks_and_refuses():
    model = nn.Sequential(nn.ReLU(), nn.ReLU6())
    with SparsityMeter(model, where=ca.where.of_type(nn.ReLU6)) as meter:
        model(torch.ones(1, 2))
    assert [row.name for row in meter.table()] == ["1"]
    with SparsityMeter(model, where=ca.where.named("x")) as meter:
        model(torch.ones(1, 2))
    with pytest.raises(SelectionError, match="matches none"):
        meter.table()


def test_channels_last_and_half_precision_count_alike():
    torch.manual_seed(0)
    model = nn.Sequential(nn.ReLU())
    x = torch.randn(3, 5, 4, 4).bfloat16()
    found = []
    for given in (x, x.to(memory_format=torch.channels_last), x.float(), x.double()):
        with SparsityMeter(model) as meter:
            model(given)
        found.append((meter.table()["0"].zeros, meter.activity("0").tolist()))
    assert all(each == found[0] for each in found)


def test_nothing_waits_for_the_device():
    """Values cannot be read on the meta device: reading one would raise."""
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU()).to("meta")
    with SparsityMeter(model) as meter:
        model(torch.ones(2, 4, device="meta")).sum().backward()
    with pytest.raises(RuntimeError, match="meta"):
        meter.table()


@pytest.mark.parametrize("units", ["channel", "neuron"])
def test_an_empty_batch_says_nothing_of_any_unit(units):
    model = nn.Sequential(nn.ReLU())
    with SparsityMeter(model, units=units) as meter:
        model(torch.zeros(0, 4))
        row = meter.table()["0"]
        assert (row.values, row.units, row.dead, row.always_on) == (0, 4, 0, 0)
        model(torch.tensor([[1.0, -1.0, 1.0]]))  # nor of their number
        model(torch.zeros(0, 3))
    row = meter.table()["0"]
    assert (row.values, row.units, row.dead, row.always_on) == (3, 3, 1, 2)


class Stored(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.function, self.relu = nn.Linear(4, 4), F.gelu, nn.ReLU()
        self.again = self.relu

    def forward(self, x):
        return self.again(self.function(self.relu(self.layer(x))))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_made_inside_is_not_counted(copied):
    model, x = Stored(), torch.randn(3, 4)
    y = model(x)
    with SparsityMeter(model) as meter:
        model(x)
        other = copied(model)
        assert torch.equal(other(x), y)
    assert [row.values for row in meter.table()] == [12, 12, 12]
    assert other.function is F.gelu
    assert torch.equal(other(x), y)
    with SparsityMeter(other) as meter:
        other(x)
    assert [row.values for row in meter.table()] == [12, 12, 12]


def test_requests_without_a_meaning():
    with pytest.raises(SparsityError, match="units='layer'"):
        SparsityMeter(nn.ReLU(), units="layer")
    meter = SparsityMeter(nn.ReLU())
    with meter, pytest.raises(SurgeryError, match="counting already"):
        meter.__enter__()
    with pytest.raises(KeyError, match="no site 'x'"):
        meter.activity("x")


def test_a_table_goes_to_pandas():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    with SparsityMeter(model) as meter:
        model(torch.randn(16, 4)).sum().backward()
    frame = meter.table().to_pandas()
    assert frame.loc[0, "kind"] == "ReLU"
    assert frame.loc[0, "sparsity"] == meter.table()["1"].sparsity
    assert frame.loc[0, "gradient_sparsity"] == frame.loc[0, "sparsity"]
