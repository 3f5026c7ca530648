import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from clipact.errors import FaultError, SelectionError, SurgeryError
from clipact.faults import Activations, FixedPoint, Inputs, Native, Weights, population
from clipact.faults._values import observe
from clipact.surgery import find_sites
from clipact.where import last, named, of_type


def flow_of(model, target, *batches):
    def run():
        with torch.no_grad():
            for batch in batches:
                model(batch)

    return observe(model, target, run)


def shapes(flow):
    return {place.name: place.shape for place in flow.places}


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.linear(x))
        return F.gelu(self.relu(x - 1))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block()

    def forward(self, x):
        return self.block(self.block(x))


def test_places_are_the_sites():
    model = Twice()
    flow = flow_of(model, Activations(), torch.randn(3, 6))
    sites = [site.name for site in find_sites(model, torch.randn(3, 6))]
    assert sites == ["block.relu", "block.relu_2", "block.gelu"]
    assert list(shapes(flow)) == [*sites, *(f"{name}@2" for name in sites)]
    assert {place.shape for place in flow.places} == {(6,)}


def test_a_smaller_last_batch_has_the_same_places():
    model = Twice()
    flow = flow_of(model, Activations(), torch.randn(4, 6), torch.randn(4, 6), torch.randn(3, 6))
    assert {place.shape for place in flow.places} == {(6,)}
    rows = [flow.places[0].rows(forward.batch) for forward in flow.forwards]
    assert rows == [4, 4, 3]
    assert all(len(forward.places) == 6 for forward in flow.forwards)


def test_places_are_the_union_over_forwards():
    class Chooses(nn.Module):
        def forward(self, x):
            return F.relu(x) if x.sum() > 0 else F.gelu(x)

    flow = flow_of(Chooses(), Activations(), torch.ones(2, 3), -torch.ones(2, 3))
    assert list(shapes(flow)) == ["relu", "gelu"]
    assert [set(forward.places) for forward in flow.forwards] == [{"relu"}, {"gelu"}]


def test_where_picks_any_module_by_name_and_type():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Sigmoid())).eval()
    x = torch.randn(2, 3, 8, 8)
    assert list(shapes(flow_of(model, Activations(of_type(nn.Conv2d)), x))) == ["0"]
    assert list(shapes(flow_of(model, Activations(named("1")), x))) == ["1"]
    assert list(shapes(flow_of(model, Activations(of_type(nn.Sigmoid)), x))) == ["2.0"]
    assert list(shapes(flow_of(model, Activations(last()), x))) == ["output"]
    assert shapes(flow_of(model, Activations(named("*")), x)) == dict.fromkeys(
        ("0", "1", "2.0"), (4, 6, 6)
    )


def test_functional_softmax_can_be_picked():
    class Attends(nn.Module):
        def forward(self, x):
            return F.softmax(x @ x.transpose(1, 2), dim=-1) @ x

    flow = flow_of(Attends(), Activations(of_type(nn.Softmax)), torch.randn(2, 5, 3))
    assert shapes(flow) == {"softmax": (5, 5)}


def test_a_value_that_passes_through_counts_once():
    model = nn.Sequential(nn.Sequential(nn.Linear(6, 6), nn.Identity()), nn.Dropout(), nn.ReLU())
    model.eval()
    x = torch.randn(2, 6)
    assert list(shapes(flow_of(model, Activations(named("*")), x))) == ["0.0", "2"]
    assert list(shapes(flow_of(model, Activations(named("0", "1")), x))) == ["0"]
    assert list(
        shapes(flow_of(nn.Sequential(nn.Identity()), Inputs() | Activations(last()), x))
    ) == ["input[0]"]


def test_what_was_overwritten_since_is_another_value():
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(inplace=True))
    assert list(shapes(flow_of(model, Activations(named("*")), torch.randn(2, 6)))) == ["0", "1"]


def test_tensors_in_tuples_mappings_and_packed_sequences():
    x = torch.randn(4, 5, 6)
    gru = nn.Sequential(nn.GRU(6, 7, num_layers=3, batch_first=True))
    everything = Activations(of_type(nn.GRU))
    assert shapes(flow_of(gru, everything, x)) == {"0[0]": (5, 7), "0[1]": (3, 4, 7)}
    steps = pack_sequence([torch.randn(3, 6), torch.randn(2, 6)])
    assert shapes(flow_of(gru, everything, steps)) == {"0[0]": (5, 7), "0[1]": (3, 2, 7)}
    lstm = nn.Sequential(nn.LSTM(6, 7))
    across = Activations(of_type(nn.LSTM), batch_dim=1)
    assert shapes(flow_of(lstm, across, x)) == {
        "0[0]": (4, 7),
        "0[1][0]": (1, 7),
        "0[1][1]": (1, 7),
    }

    class Names(nn.Module):
        def forward(self, x):
            return {"logits": x * 1, "more": [x + 1, x.argmax(-1)], "loss": x.sum()}

    names = nn.Sequential(Names())
    assert shapes(flow_of(names, Activations(named("0")), x)) == {
        "0['logits']": (5, 6),
        "0['more'][0]": (5, 6),
        "0['loss']": (),
    }


def test_samples_may_be_stacked_along_the_batch():
    class Windows(nn.Module):
        def forward(self, x):
            return F.relu(x.reshape(-1, 4, 3))

    flow = flow_of(Windows(), Activations(), torch.randn(2, 20, 3), torch.randn(1, 20, 3))
    (place,) = flow.places
    assert (place.shape, place.is_stacked, place.axis) == ((5, 4, 3), True, 0)
    whole = flow_of(Windows(), Activations(batch_dim=None), torch.randn(2, 20, 3))
    assert shapes(whole) == {"relu": (10, 4, 3)}
    assert not whole.places[0].is_sampled


def test_sizes_that_differ_give_the_largest():
    flow = flow_of(nn.ReLU(), Activations(), torch.ones(2, 5, 3), torch.ones(2, 2, 4))
    assert shapes(flow) == {"output": (5, 4)}
    with pytest.raises(FaultError, match="no bits in common"):
        flow_of(nn.ReLU(), Activations(), torch.ones(2, 5, 3), torch.ones(2, 5))


def test_inputs_by_position_and_keyword():
    class Takes(nn.Module):
        def forward(self, x, parts, *, ids, mask=None, flag=True):
            return F.relu(x) + parts[0].sum() + ids.sum()

    model = Takes()
    ids, mask = torch.arange(6).reshape(2, 3), torch.ones(2, 3, dtype=torch.bool)
    flow = observe(
        model,
        Inputs(),
        lambda: model(torch.ones(2, 4), [torch.ones(2), 3], ids=ids, mask=mask),
    )
    assert shapes(flow) == {
        "input[0]": (4,),
        "input[1][0]": (),
        "input['ids']": (3,),
        "input['mask']": (3,),
    }
    assert [space.width for space in flow.spaces(Native())] == [32, 32, 64, 1]


def test_nothing_to_choose():
    model = nn.Sequential(nn.Linear(6, 6))
    with pytest.raises(SelectionError, match=r"no activations .*Activations\(where="):
        flow_of(model, Activations(), torch.randn(2, 6))
    with pytest.raises(SelectionError, match=r"named\('nope'\)"):
        flow_of(model, Activations(named("nope")), torch.randn(2, 6))
    with pytest.raises(FaultError, match="was not called"):
        observe(model, Activations(), lambda: None)
    with pytest.raises(SurgeryError, match="compiled"):
        flow_of(torch.compile(model, backend="eager"), Activations(named("*")), torch.randn(2, 6))


def test_what_cannot_have_faults():
    class Sparse(nn.Module):
        def forward(self, x):
            return x.to_sparse()

    model = nn.Sequential(Sparse())
    with pytest.raises(FaultError, match=r"0 is a sparse tensor .*where="):
        flow_of(model, Activations(named("0")), torch.eye(3))
    casts = nn.Sequential(nn.ReLU())
    with pytest.raises(FaultError, match=r"0 is torch.float16 and torch.float32"):
        flow_of(casts, Activations(), torch.ones(2, 3), torch.ones(2, 3).half())
    with pytest.raises(FaultError, match="batch_dim=-1"):
        Activations(batch_dim=-1)


def test_targets_of_both_kinds():
    model = nn.Sequential(nn.Linear(6, 5, bias=False), nn.ReLU())
    both = Weights() | Activations() | Inputs()
    assert [each.name for each in both.tensors(model)] == ["0.weight"]
    assert list(shapes(flow_of(model, both, torch.randn(2, 6)))) == ["input[0]", "1"]
    assert (Activations() | Inputs()).tensors(model) == []
    assert str(both) == "Weights() | Activations() | Inputs()"
    assert str(Activations(named("a"), batch_dim=1)).endswith(", batch_dim=1)")
    assert Weights().flowing() == ()


def test_without_flowing_parts_nothing_is_watched():
    ran = []
    flow = observe(nn.ReLU(), Weights(), lambda: ran.append(1))
    assert (flow.places, flow.forwards, ran) == ((), (), [1])


def test_population_needs_an_example_for_what_flows():
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU())
    both = Weights() | Activations()
    assert population(model, both, example=torch.ones(8, 6)) == (30 + 5) * 32
    wide = FixedPoint(bits=10, fraction=2)
    assert population(model, both, format=wide, example=torch.ones(8, 6)) == 35 * 10
    with pytest.raises(FaultError, match="example="):
        population(model, Activations())


def test_observing_leaves_nothing_behind(bits_of, same_bits, model):
    model.train()
    before = bits_of(model)
    hooks = [len(part._forward_hooks) for part in model.modules()]
    x = torch.randn(2, 3, 8, 8)
    given = x.clone()

    def run():
        model.eval()
        model(x)
        model.train()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        observe(model, Activations(named("*")) | Inputs(), run)
    assert same_bits(model, before)
    assert [len(part._forward_hooks) for part in model.modules()] == hooks
    assert torch.equal(x, given)
