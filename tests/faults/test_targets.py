import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from clipact.errors import FaultError, SelectionError
from clipact.faults import (
    Biases,
    BitFlip,
    Buffers,
    FixedPoint,
    Thresholds,
    Weights,
    inject,
    population,
)
from clipact.nn import HyReLU, SaturatedReLU
from clipact.where import named, of_type


def names(target, model):
    return [tensor.name for tensor in target.tensors(model)]


def test_every_parameter_has_one_role():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), SaturatedReLU(6.0), nn.Linear(4, 2)
    )
    assert names(Weights(), model) == ["0.weight", "1.weight", "3.weight"]
    assert names(Biases(), model) == ["0.bias", "1.bias", "3.bias"]
    assert names(Thresholds(), model) == ["2.threshold"]
    assert names(Buffers(), model) == ["1.running_mean", "1.running_var", "1.num_batches_tracked"]
    everything = Weights() | Biases() | Thresholds()
    assert sorted(names(everything, model)) == sorted(n for n, _ in model.named_parameters())


def test_what_is_called_bias():
    model = nn.ModuleDict(
        {"gru": nn.GRU(2, 3), "attention": nn.MultiheadAttention(4, 2, add_bias_kv=True)}
    )
    assert names(Biases(), model) == [
        "gru.bias_ih_l0",
        "gru.bias_hh_l0",
        "attention.in_proj_bias",
        "attention.bias_k",
        "attention.bias_v",
        "attention.out_proj.bias",
    ]
    assert set(names(Weights(), model)).isdisjoint(names(Biases(), model))


def test_parametrised_weights_and_biases_are_their_originals():
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 2)))
    parametrizations.weight_norm(model[0], "bias", dim=None)
    stem = "0.parametrizations"
    assert names(Weights(), model) == [f"{stem}.weight.original0", f"{stem}.weight.original1"]
    assert names(Biases(), model) == [f"{stem}.bias.original0", f"{stem}.bias.original1"]
    assert names(Weights(where=of_type(nn.Linear)), model) == names(Weights(), model)
    alone = parametrizations.weight_norm(nn.Linear(3, 2))
    assert len(names(Weights(where=of_type(nn.Linear)), alone)) == 2


def test_where_sees_dotted_names_and_owners():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    assert names(Weights(where=of_type(nn.Linear, nn.Conv2d)), model) == ["0.weight", "2.weight"]
    assert names(Weights(where=~named("1.*")), model) == ["0.weight", "2.weight"]
    assert names(Weights(where=named("0.*")) | Biases(where=named("2.*")), model) == [
        "0.weight",
        "2.bias",
    ]


def test_nothing_to_hit():
    with pytest.raises(SelectionError, match="thresholds"):
        Thresholds().tensors(nn.Linear(2, 2))
    with pytest.raises(SelectionError, match=r"named\('nope'\)"):
        Weights(where=named("nope")).tensors(nn.Linear(2, 2))
    with pytest.raises(SelectionError):
        (Weights() | Biases()).tensors(nn.Linear(2, 2, bias=False))
    empty = nn.Module()
    empty.weight = nn.Parameter(torch.empty(0, 3))
    with pytest.raises(FaultError, match="no elements"):
        Weights().tensors(empty)


def test_tied_weights_are_one_under_the_first_name():
    model = nn.ModuleDict({"embed": nn.Embedding(5, 3), "head": nn.Linear(3, 5, bias=False)})
    model["head"].weight = model["embed"].weight
    assert names(Weights(), model) == ["embed.weight"]
    assert names(Weights(where=named("head.*")), model) == ["embed.weight"]
    assert names(Weights() | Weights(), model) == ["embed.weight"]


def test_tied_storages_are_one_whatever_their_shape():
    model = nn.ModuleDict(
        {
            "a": nn.Linear(3, 5, bias=False),
            "b": nn.Linear(5, 3, bias=False),
            "c": nn.Linear(15, 1, bias=False),
        }
    )
    model["b"].weight = nn.Parameter(model["a"].weight.detach().t())
    model["c"].weight = nn.Parameter(model["a"].weight.detach().view(1, 15))
    assert names(Weights(), model) == ["a.weight"]
    assert population(model, Weights()) == 15 * 32


def test_parts_of_one_storage():
    whole = torch.randn(4, 6)
    model = nn.Module()
    model.left, model.right = nn.Parameter(whole[:, :3]), nn.Parameter(whole[:, 3:])
    assert names(Weights(), model) == ["left", "right"]
    model.middle = nn.Parameter(whole[:, 2:4])
    with pytest.raises(FaultError, match="left and middle share some words"):
        Weights().tensors(model)
    assert names(Weights(where=named("middle")), model) == ["middle"]


@pytest.mark.parametrize(
    ("tensor", "problem"),
    [
        (torch.zeros(6).as_strided((3, 4), (1, 1)), "several elements on one word"),
        (torch.zeros(2, device="meta"), "no memory yet"),
        (torch.eye(2).to_sparse(), "sparse"),
        (torch.zeros(2, dtype=torch.complex64), "complex64"),
    ],
)
def test_what_cannot_be_addressed(tensor, problem):
    model = nn.Module()
    model.weight = nn.Parameter(tensor)
    with pytest.raises(FaultError, match=f"weight .*{problem}"):
        Weights().tensors(model)


def test_an_expanded_tensor_has_the_bits_that_are_in_memory():
    row = torch.ones(1, 4)
    model = nn.Module()
    model.register_buffer("wide", row.expand(3, 4))
    model.register_buffer("scalar", torch.ones(()).expand(5))
    assert population(model, Buffers()) == (4 + 1) * 32
    with inject(model, BitFlip(count=160), Buffers()) as record:
        assert len({(fault.tensor, fault.index) for fault in record}) == 5
        assert bool((model.wide != 1).all())
    assert bool((model.wide == 1).all())
    model.register_buffer("row", row)
    assert names(Buffers(), model) == ["wide", "scalar"]


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_lazy_modules_have_no_bits_yet():
    with pytest.raises(FaultError, match="lazy"):
        Weights().tensors(nn.LazyLinear(3))


def test_population_counts_bits_of_the_format():
    model = nn.Linear(3, 2).to(torch.bfloat16)
    assert population(model, Weights() | Biases()) == 8 * 16
    assert population(model, Weights(), format=FixedPoint(bits=10, fraction=2)) == 60


def test_thresholds_come_in_the_order_of_execution():
    model = nn.Sequential(HyReLU(1.0), HyReLU(2.0))
    model[0].position, model[1].position = 1, 0
    assert names(Thresholds(), model) == ["1.threshold", "0.threshold"]


def test_targets_print():
    assert str(Weights() | Biases(where=named("head*"))).startswith("Weights() | Biases(where=")


def test_wrapped_models_meet_the_same_faults(model):
    def hits(net):
        with inject(net, BitFlip(rate=0.01), Weights(), seed=3) as record:
            return [(fault.index, fault.bit) for fault in record]

    plain = hits(model)
    assert hits(torch.compile(model)) == plain
    assert hits(nn.DataParallel(model)) == plain
    assert hits(nn.DataParallel(torch.compile(model))) == plain
