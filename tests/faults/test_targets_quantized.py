"""Weights that are no plain floating-point parameters: torch.ao's packed ones, quantised tensors, tensor subclasses."""

import pytest
import torch
import torch.ao.nn.quantized as nnq
from torch import nn

from clipact.errors import FaultError
from clipact.faults import Biases, BitFlip, FixedPoint, Weights, inject, population
from clipact.where import named, of_type

ao = pytest.importorskip("torch.ao.quantization")
pytestmark = [
    pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor"),
    pytest.mark.filterwarnings("ignore:Please use quant_min"),
]


@pytest.fixture(params=["x86", "onednn", "qnnpack", "fbgemm"])
def engine(request):
    if request.param not in torch.backends.quantized.supported_engines:
        pytest.skip(f"no {request.param} on this machine")
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = request.param
    yield request.param
    torch.backends.quantized.engine = before


def names(target, model):
    return [each.name for each in target.tensors(model)]


def dynamic(model):
    return ao.quantize_dynamic(model, {nn.Linear, nn.LSTM, nn.GRU}, dtype=torch.qint8)


def static(engine):
    model = nn.Sequential(
        ao.QuantStub(),
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 36, 5),
        ao.DeQuantStub(),
    ).eval()
    model.qconfig = ao.get_default_qconfig(engine)
    ao.prepare(model, inplace=True)
    model(torch.randn(4, 3, 8, 8))
    return ao.convert(model, inplace=True)


def packed_objects(model):
    return [
        value
        for module in model.modules()
        for value in module.__dict__.values()
        if isinstance(value, torch.ScriptObject)
    ]


def same_objects(model, before):
    return [id(each) for each in packed_objects(model)] == [id(each) for each in before]


def test_a_dynamically_quantised_linear(engine):
    model = dynamic(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3, bias=False)))
    x = torch.randn(2, 6)
    clean, before = model(x), packed_objects(model)
    assert names(Weights(), model) == ["0.weight", "2.weight"]
    assert names(Biases(), model)[0] == "0.bias"  # qnnpack adds a bias of zeros to the other
    assert population(model, Weights()) == (24 + 12) * 8
    integers = [part.weight().int_repr() for part in (model[0], model[2])]
    with inject(model, BitFlip(count=5), Weights(), seed=1) as record:
        now = [part.weight().int_repr() for part in (model[0], model[2])]
        for fault in record:
            place = int(fault.tensor[0]) // 2
            assert int(now[place].reshape(-1)[fault.index]) == fault.after
            assert int(integers[place].reshape(-1)[fault.index]) == fault.before
        changed = sum(int((a != b).sum()) for a, b in zip(now, integers, strict=True))
        assert changed == len({(fault.tensor, fault.index) for fault in record})
        assert not torch.equal(model(x), clean)
    assert same_objects(model, before)
    assert torch.equal(model(x), clean)


def test_weights_and_biases_of_one_packed_object(engine):
    model = dynamic(nn.Sequential(nn.Linear(6, 4)))
    before = packed_objects(model)
    weight, bias = model[0]._packed_params._weight_bias()
    weight, bias = weight.int_repr(), bias.detach().clone()
    with inject(model, BitFlip(rate=0.2), Weights() | Biases()) as record:
        assert {fault.tensor for fault in record} == {"0.weight", "0.bias"}
        now, moved = model[0]._packed_params._weight_bias()
        assert not torch.equal(now.int_repr(), weight)
        assert not torch.equal(moved.view(torch.int32), bias.view(torch.int32))
    assert same_objects(model, before)
    assert torch.equal(model[0]._packed_params._weight_bias()[1], bias)


def test_a_statically_quantised_network(engine):
    model = static(engine)
    x = torch.randn(2, 3, 8, 8)
    clean, before = model(x), packed_objects(model)
    assert names(Weights(), model) == ["1.weight", "4.weight"]
    assert names(Biases(), model) == ["1.bias", "4.bias"]
    conv = model[1].weight().int_repr().contiguous()
    with inject(model, BitFlip(count=30), Weights(where=of_type(nnq.Conv2d))) as record:
        changed = (model[1].weight().int_repr().contiguous() != conv).reshape(-1)
        assert set(changed.nonzero().reshape(-1).tolist()) == {fault.index for fault in record}
        model(x)
    assert same_objects(model, before)
    assert torch.equal(model(x), clean)
    with pytest.raises(FaultError, match="emulated on floating-point tensors"):
        population(model, Weights(), format=FixedPoint())


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU])
def test_dynamically_quantised_recurrent_layers(layer):
    model = dynamic(nn.Sequential(layer(4, 5, num_layers=2, bidirectional=True)))
    x = torch.randn(3, 2, 4)
    clean, before = model(x)[0], packed_objects(model)
    plain = layer(4, 5, num_layers=2, bidirectional=True)
    everything = Weights() | Biases()
    assert sorted(names(everything, model)) == sorted(f"0.{n}" for n, _ in plain.named_parameters())
    target = Weights(where=named("0.weight_hh_l1_reverse"))
    with inject(model, BitFlip(rate=0.3), target):
        assert not torch.equal(model(x)[0], clean)
    with inject(model, BitFlip(count=0), target):
        assert torch.equal(model(x)[0], clean)
    assert same_objects(model, before)
    assert torch.equal(model(x)[0], clean)


def test_restored_after_an_exception():
    model = dynamic(nn.Sequential(nn.Linear(6, 4)))
    before = packed_objects(model)
    with pytest.raises(KeyboardInterrupt), inject(model, BitFlip(count=3), Weights()):
        raise KeyboardInterrupt
    assert same_objects(model, before)


def test_replaced_inside():
    model = dynamic(nn.Sequential(nn.Linear(6, 4)))
    other = dynamic(nn.Sequential(nn.Linear(6, 4)))
    with (
        pytest.raises(FaultError, match=r"0\.weight was replaced"),
        inject(model, BitFlip(count=3), Weights()),
    ):
        model[0] = other[0]


def test_a_module_at_two_paths_has_its_bits_once():
    model = dynamic(nn.Sequential(nn.Linear(4, 4)))
    shared = nn.Sequential(model[0], model[0])
    assert names(Weights(), shared) == ["0.weight"]


def test_quantised_embeddings():
    embedding = nnq.Embedding(10, 4)
    model = nn.Sequential(embedding)
    before = packed_objects(model)
    ids = torch.arange(10)
    clean = model(ids)
    assert names(Weights(), model) == ["0.weight"]
    with inject(model, BitFlip(count=20), Weights()):
        assert not torch.equal(model(ids), clean)
    assert same_objects(model, before)


def test_packed_in_float16():
    model = ao.quantize_dynamic(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), dtype=torch.float16)
    with pytest.raises(FaultError, match=r"0\._packed_params is packed in float16"):
        Weights().tensors(model)


@pytest.mark.parametrize("dtype", [torch.qint8, torch.quint8, torch.qint32])
def test_quantised_tensors_are_their_integers(dtype):
    model = nn.Module()
    quantised = torch.quantize_per_tensor(torch.randn(3, 4), 0.05, 3, dtype)
    model.weight = nn.Parameter(quantised, requires_grad=False)
    before = quantised.int_repr()
    assert population(model, Weights()) == 12 * 8 * before.element_size()
    with inject(model, BitFlip(count=4), Weights()) as record:
        now = model.weight.int_repr()
        changed = (now != before).reshape(-1).nonzero().reshape(-1).tolist()
        assert set(changed) == {fault.index for fault in record}
        assert all(int(now.reshape(-1)[f.index]) == f.after for f in record)
    assert torch.equal(model.weight.int_repr(), before)


class Pair(torch.Tensor):
    """A weight of two tensors, as torchao's are."""

    @staticmethod
    def __new__(cls, qdata, scale):
        return torch.Tensor._make_wrapper_subclass(cls, qdata.shape, dtype=scale.dtype)

    def __init__(self, qdata, scale):
        self.qdata, self.scale = qdata, scale

    def __tensor_flatten__(self):
        return ["qdata", "scale"], None

    @classmethod
    def __tensor_unflatten__(cls, inner, meta, size, stride):
        return cls(inner["qdata"], inner["scale"])

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.detach.default:
            return cls(args[0].qdata, args[0].scale)
        plain = [a.qdata * a.scale if isinstance(a, cls) else a for a in args]
        return func(*plain, **(kwargs or {}))


def test_a_tensor_subclass_is_what_it_is_made_of():
    model = nn.Linear(4, 3)
    qdata = torch.randint(-100, 100, (3, 4), dtype=torch.int8)
    model.weight = nn.Parameter(Pair(qdata, torch.rand(3, 1)), requires_grad=False)
    nested = nn.Sequential(model)
    assert names(Weights(), nested) == ["0.weight.qdata", "0.weight.scale"]
    assert names(Weights(where=of_type(nn.Linear)), nested) == names(Weights(), nested)
    assert names(Biases(), nested) == ["0.bias"]
    assert population(nested, Weights(where=named("*.qdata"))) == 12 * 8
    x = torch.randn(2, 4)
    clean = nested(x)
    with inject(nested, BitFlip(count=1), Weights(where=named("*.qdata"))):
        assert not torch.equal(nested(x), clean)
    assert torch.equal(nested(x), clean)


@pytest.mark.filterwarnings("ignore")
def test_torchao():
    quantization = pytest.importorskip("torchao.quantization")
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4))
    quantization.quantize_(model, quantization.Int8WeightOnlyConfig())
    x = torch.randn(3, 64)
    clean = model(x)
    assert names(Weights(where=named("2.*qdata", "2.*scale")), model) == [
        "2.weight.qdata",
        "2.weight.scale",
    ]
    assert population(model, Weights(where=named("*.qdata"))) == (64 * 32 + 32 * 4) * 8
    with inject(model, BitFlip(rate=0.1), Weights(where=named("*.qdata"))):
        assert not torch.equal(model(x), clean)
    assert torch.equal(model(x), clean)
