import copy
import pickle
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from clipact.errors import SelectionError, SurgeryError
from clipact.nn import OutputGuard, RangeRestricted
from clipact.surgery import attach_output, find_sites, guard_output, replace_activations, thresholds

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


class Pair(NamedTuple):
    first: Any
    second: Any


class Halve(nn.Module):
    def forward(self, x):
        return x / 2


class Returns(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x,
        lambda x: (x, x),
        lambda x: [torch.tensor(1.0), x],
        lambda x: Pair(x, x),
        lambda x: {"loss": x.sum(), "logits": x},
        lambda x: (None, (x, x)),
    ],
)
def test_first_tensor_with_dimensions_is_guarded(function):
    model = Returns(function)
    plain = function(X)
    guard_output(model, Halve())
    guarded = model(X)
    assert type(guarded) is type(plain)
    flat, golden = (torch.utils._pytree.tree_leaves(output) for output in (guarded, plain))
    factors = [float(a.sum() / b.sum()) for a, b in zip(flat, golden, strict=True) if a is not None]
    assert sorted(factors) == pytest.approx([0.5] + [1.0] * (len(factors) - 1))


def test_packed_sequences():
    model = nn.LSTM(6, 4)
    packed = pack_sequence([X, X[:2]])
    golden = model(packed)[0]
    guard_output(model, Halve())
    assert torch.equal(model(packed)[0].data, golden.data / 2)


def test_survives_copies_and_keeps_keys(snapshot):
    model = nn.Linear(6, 2)
    before = snapshot(model)
    receipt = guard_output(model, OutputGuard(-0.1, 0.1))
    assert list(model.state_dict()) == ["weight", "bias", "output_guard.low", "output_guard.high"]
    assert list(thresholds(model)) == ["output_guard.low", "output_guard.high"]
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(X), model(X))
        other.output_guard.high.data.fill_(0.05)
        assert other(X).detach().max() <= 0.05 + 1e-6
    compiled = torch.compile(copy.deepcopy(model), backend="eager", fullgraph=True)  # leaves marks
    assert torch.equal(compiled(X), model(X))
    receipt.restore()
    before.assert_same()


def test_a_sequential_runs_its_guard_once():
    model = nn.Sequential(nn.Linear(6, 6))
    golden = model(X)
    guard_output(model, Halve())
    assert torch.equal(model(X), golden / 2)


def test_list_with_its_own_forward_is_refused():
    class Own(nn.ModuleDict):
        def forward(self, x):
            for module in self.values():
                x = module(x)
            return x

    with pytest.raises(SurgeryError, match="list of children"):
        guard_output(Own({"a": nn.Linear(6, 6)}), Halve())


def test_names_are_not_taken_twice():
    model = nn.Sequential(nn.Linear(6, 6))
    attach_output(model, "0", Halve())
    with pytest.raises(SurgeryError, match="already has something called 'output_guard'"):
        attach_output(model, "0", Halve())
    attach_output(model, "0", Halve(), "second")
    assert list(model[0]._modules) == ["output_guard", "second"]


def test_layer_outputs_are_sites(snapshot):
    model = nn.TransformerEncoderLayer(6, 2, 12, batch_first=True, dropout=0.0).eval()
    before, x = snapshot(model), X[None]
    kinds = (nn.MultiheadAttention, nn.Linear)
    golden = model(x)
    receipt = replace_activations(
        model, lambda site: RangeRestricted(site.activation, -1e3, 1e3), example=x, kinds=kinds
    )
    assert [site.name for site, _ in receipt.changes] == ["self_attn", "linear1", "linear2"]
    assert [new.position for _, new in receipt.changes] == [0, 1, 2]
    torch.testing.assert_close(model(x), golden)
    model.linear1.output_guard.high.data.fill_(-1e3)
    assert not torch.allclose(model(x), golden)
    again = [site.name for site in find_sites(model, x)]
    assert again == [
        "self_attn.output_guard",
        "linear1.output_guard",
        "activation",
        "linear2.output_guard",
    ]
    receipt.restore()
    before.assert_same()


def test_recurrent_output():
    model = nn.Sequential(nn.GRU(6, 4))
    replace_activations(
        model,
        lambda site: RangeRestricted(site.activation, -0.01, 0.01),
        example=X,
        kinds=(nn.GRU,),
    )
    output, state = model(X)
    assert output.detach().abs().max() <= 0.0101
    assert state.detach().abs().max() > 0.02


def test_unusable_guards(snapshot):
    model = nn.Sequential(nn.Linear(6, 6))
    before = snapshot(model)
    with pytest.raises(SelectionError, match="no module at 'head'"):
        attach_output(model, "head", Halve())
    with pytest.raises(SurgeryError, match="the guard is a float"):
        guard_output(model, 1.0)
    before.assert_same()
