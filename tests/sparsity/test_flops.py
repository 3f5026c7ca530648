import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from clipact.errors import SparsityError
from clipact.sparsity import flops, zero_skip_


def block():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 4, 2, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


def total_of_torch(model, x):
    with FlopCounterMode(display=False) as profiler, torch.no_grad():
        model.eval()(x)
    return profiler.get_total_flops() // 2


def test_dense_is_what_torch_counts():
    model, x = block(), torch.randn(2, 3, 8, 8)
    table = flops(model, x)
    assert table.dense == total_of_torch(model, x)
    assert (table.elsewhere, table.uncounted) == (0, ())
    assert [row.name for row in table] == ["0", "3", "5", "8"]


def test_effective_is_counted_from_the_inputs():
    model, x = block().eval(), torch.randn(2, 3, 8, 8) * (torch.rand(2, 3, 8, 8) < 0.5)
    inputs = {}
    for name, layer in model.named_children():
        layer.register_forward_pre_hook(lambda _, args, name=name: inputs.update({name: args[0]}))
    table = flops(model, x)
    for row in table:
        ones = copy.deepcopy(model.get_submodule(row.name)).double()
        with torch.no_grad():
            ones.weight.fill_(1.0)
            ones.bias.zero_()
            assert row.effective == int(ones((inputs[row.name] != 0).double()).sum()), row.name
        assert 0 < row.effective < row.dense
        assert row.density == row.effective / row.dense
    assert table.effective == sum(row.effective for row in table)


def test_a_layer_called_twice_is_one_row():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(input=self.layer(x) * 0)

    row = flops(Twice(), torch.ones(3, 4))["layer"]
    assert (row.calls, row.dense, row.effective) == (2, 96, 48)


def test_what_is_multiplied_outside_layers_is_said():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.rnn = nn.Linear(4, 4), nn.GRU(4, 4)

        def forward(self, x):
            return F.linear(self.layer(x), torch.ones(2, 4)) + (x @ x.t()).sum()

    model = Attention()
    table = flops(model, torch.ones(3, 4))
    assert table.dense == 48
    assert table.elsewhere == 3 * 4 * 2 + 3 * 3 * 4
    assert "60 more outside these layers" in str(table)
    assert "rnn (GRU) is not counted" in str(table)


def test_skipping_changes_no_count():
    model = nn.Sequential(nn.ReLU(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 3))
    x = torch.randn(3, 8)
    before = flops(model, x)
    zero_skip_(model, x, min_weights=0, break_even=lambda rows, weight: rows * weight.shape[1])
    assert flops(model, x) == before


def test_the_model_is_left_as_it_was():
    model = block()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    flops(model, torch.randn(2, 3, 8, 8))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_an_exception_leaves_no_hooks():
    model = block()
    with pytest.raises(RuntimeError):
        flops(model, torch.randn(2, 5, 8, 8))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_the_table():
    table = flops(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.zeros(1, 4))
    assert str(table).splitlines()[2].split() == ["0", "Linear", "1", "12", "0", "0.0", "%"]
    frame = table.to_pandas()
    assert list(frame.columns) == ["layer", "kind", "calls", "dense", "effective", "density"]
    assert frame["dense"].tolist() == [12, 6]
    with pytest.raises(KeyError, match="there is 0, 2"):
        table["1"]
    assert len(table) == 2


def test_an_empty_batch_costs_nothing():
    table = flops(nn.Linear(4, 3), torch.zeros(0, 4))
    assert (table.dense, table.effective) == (0, 0)
    assert table.density != table.density
    assert "(model)" in str(table)


def test_a_model_without_such_layers_is_refused():
    with pytest.raises(SparsityError, match="ReLU runs no layer whose operations can be counted"):
        flops(nn.ReLU(), torch.zeros(1, 4))
