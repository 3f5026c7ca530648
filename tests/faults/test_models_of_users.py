"""Models as users have them: each goes through faults in weights, in thresholds and in activations."""

from types import SimpleNamespace

import pytest
import torch
import torchvision
from torch import nn

from clipact.faults import Activations, BitFlip, Inputs, Native, Thresholds, Weights, inject
from clipact.faults._streams import Draw
from clipact.faults._values import Drawn, flowing, observe
from clipact.nn import RangeRestricted
from clipact.surgery import ACTIVATIONS, plain_attention, replace_activations
from clipact.where import named, of_type

pytestmark = [
    pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor"),
    pytest.mark.filterwarnings("ignore:Please use quant_min"),
]
FLIPS, MANY = BitFlip(rate=1e-3), BitFlip(rate=0.02)


def case(model, example, *, where=None, batch_dim=0, kinds=ACTIVATIONS, sampled=None):
    """A model, keyword or positional inputs, and where its activations are."""
    return SimpleNamespace(
        model=model.eval(),
        example=example,
        activations=Activations(where, batch_dim),
        kinds=kinds,
        sampled=sampled,
    )


def vit():
    model = torchvision.models.VisionTransformer(
        image_size=16, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32
    )
    nn.init.normal_(model.heads.head.weight, std=0.1)
    where = of_type(nn.MultiheadAttention, nn.GELU, nn.LayerNorm)
    return case(model, torch.randn(4, 3, 16, 16), where=where)


def swin():
    model = torchvision.models.SwinTransformer(
        patch_size=[2, 2],
        embed_dim=16,
        depths=[2, 2],
        num_heads=[2, 2],
        window_size=[4, 4],
        num_classes=5,
    )
    where = of_type(nn.GELU, nn.Linear, nn.Softmax) | named("features.1.*.attn")
    return case(model, torch.randn(2, 3, 16, 16), where=where)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(6, 8, num_layers=2, batch_first=True)
        self.head = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x):
        return self.head(self.gru(x)[0][:, -1])


def gru():
    return case(Recurrent(), torch.randn(4, 5, 6), where=of_type(nn.GRU, nn.ReLU))


def quantised_linear():
    ao = pytest.importorskip("torch.ao.quantization")
    plain = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 3))
    return case(ao.quantize_dynamic(plain, {nn.Linear}), torch.randn(4, 12))


def convolutional():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(288, 5),
    )


def bf16():
    return case(convolutional().bfloat16(), torch.randn(4, 3, 8, 8).bfloat16())


def channels_last_resnet():
    model = torchvision.models.resnet18(num_classes=10).to(memory_format=torch.channels_last)
    x = torch.randn(4, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    return case(model, x)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.hidden = nn.Linear(8, 8)
        self.head = nn.Linear(8, 20, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(torch.relu(self.hidden(self.embed(ids))))


def tied_embeddings():
    return case(Tied(), torch.arange(12).reshape(3, 4), where=of_type(nn.ReLU, nn.Embedding))


def gpt2():
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(vocab_size=30, n_embd=16, n_layer=2, n_head=2, n_positions=16)
    model = transformers.GPT2LMHeadModel(config)
    activation = type(model.transformer.h[0].mlp.act)
    example = {"input_ids": torch.arange(12).reshape(2, 6), "use_cache": False}
    where = of_type(activation) | named("transformer.h.*.attn", "lm_head")
    return case(model, example, where=where, kinds=(activation,))


CASES = [vit, swin, gru, quantised_linear, bf16, channels_last_resnet, tied_embeddings, gpt2]


@pytest.fixture(params=CASES, ids=[build.__name__ for build in CASES])
def user(request):
    torch.manual_seed(0)
    with torch.no_grad(), plain_attention():
        yield request.param()


def run(user):
    """The output's bits, one row a sample."""
    given = user.example
    output = user.model(**given) if isinstance(given, dict) else user.model(given)
    logits = output.logits if hasattr(output, "logits") else output
    ints = {2: torch.int16, 4: torch.int32}
    return logits.contiguous().view(ints[logits.element_size()]).flatten(1)


def packed_objects(model):
    return [
        id(value)
        for part in model.modules()
        for value in part.__dict__.values()
        if isinstance(value, torch.ScriptObject)
    ]


def test_weights(user, bits_of, same_bits):
    before, packed = bits_of(user.model), packed_objects(user.model)
    golden = run(user)
    with inject(user.model, FLIPS, Weights()) as record:
        faulty = run(user)
        assert torch.equal(run(user), faulty)
        assert len({(fault.tensor, fault.index, fault.bit) for fault in record}) == len(record) > 0
    assert not torch.equal(faulty, golden)
    assert torch.equal(run(user), golden)
    assert same_bits(user.model, before)
    assert packed_objects(user.model) == packed


def test_thresholds(user, bits_of, same_bits):
    def recipe(site):
        return RangeRestricted(site.activation, -0.01, 0.01)

    with replace_activations(user.model, recipe, example=user.example, kinds=user.kinds):
        before, golden = bits_of(user.model), run(user)
        with inject(user.model, BitFlip(rate=0.2), Thresholds()) as record:
            assert len(record) > 0
            assert not torch.equal(run(user), golden)
        assert torch.equal(run(user), golden)
        assert same_bits(user.model, before)


def test_activations(user, bits_of, same_bits):
    before = bits_of(user.model)
    golden = run(user)
    flow = observe(user.model, user.activations, lambda: run(user))
    spaces = flow.spaces(Native())
    assert len({space.name for space in spaces}) == len(spaces)
    samples = golden.shape[0]
    assert all(
        place.rows(flow.forwards[0].batch) == samples for place in flow.places if place.axis == 0
    )
    landed = []
    plan = Drawn(MANY, flow.places, spaces, Draw(0, 0))
    with flowing(user.model, flow.places, plan, MANY, on_landing=landed.append):
        faulty = run(user)
        assert torch.equal(run(user), faulty)
    assert {landing.forward for landing in landed} == {0, 1}
    assert len(landed) > len(flow.places) // 2
    assert not torch.equal(faulty, golden)
    assert torch.equal(run(user), golden)
    assert same_bits(user.model, before)


def test_activations_of_one_sample_change_that_sample(user):
    golden = run(user)
    flow = observe(user.model, user.activations, lambda: run(user))
    places = [place for place in flow.places if place.is_sampled]
    assert places
    drawn = Drawn(MANY, places, [p.space(Native()) for p in places], Draw(0, 0))

    def plan(forward, place, rows):
        return {1: drawn(forward, place, rows)[1]}

    with flowing(user.model, places, plan, MANY):
        changed = (run(user) != golden).any(1)
    assert changed.nonzero().flatten().tolist() == [1]


def test_inputs(user):
    given = user.example
    tensors = list(given.values()) if isinstance(given, dict) else [given]
    before = [t.clone() for t in tensors if isinstance(t, torch.Tensor)]
    golden = run(user)
    flow = observe(user.model, Inputs(), lambda: run(user))
    low = BitFlip(count=1)
    integers = not flow.places[0].dtype.is_floating_point
    plan = Drawn(low, flow.places, [p.space(Native()) for p in flow.places], Draw(0, 1))

    def lowest(forward, place, rows):
        """The lowest bit, so that an index stays one."""
        parts = plan(forward, place, rows)[0]
        return {0: [part._replace(mask=part.mask * 0 + 1) for part in parts]}

    with flowing(user.model, flow.places, lowest if integers else plan, low):
        assert not torch.equal(run(user), golden)
    assert torch.equal(run(user), golden)
    after = [t for t in tensors if isinstance(t, torch.Tensor)]
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))


def test_tied_weights_have_their_bits_once():
    tensors = Weights().tensors(Tied())
    assert [each.name for each in tensors] == ["embed.weight", "hidden.weight"]


def test_activations_of_statically_quantised_layers():
    ao = pytest.importorskip("torch.ao.quantization")
    model = nn.Sequential(ao.QuantStub(), nn.Conv2d(3, 8, 3), nn.ReLU(), ao.DeQuantStub()).eval()
    model.qconfig = ao.get_default_qconfig(torch.backends.quantized.engine)
    ao.prepare(model, inplace=True)
    x = torch.randn(2, 3, 8, 8)
    model(x)
    ao.convert(model, inplace=True)
    clean = model[1](model[0](x))
    target = Activations(named("1"))
    flow = observe(model, target, lambda: model(x))
    (place,) = flow.places
    assert (place.dtype, place.shape) == (torch.uint8, (8, 6, 6))
    landed = []
    plan = Drawn(BitFlip(count=1), flow.places, flow.spaces(Native()), Draw(0, 0))
    outputs = []
    handle = model[2].register_forward_pre_hook(lambda _, given: outputs.append(given[0]))
    with flowing(model, flow.places, plan, BitFlip(count=1), on_landing=landed.append):
        model(x)
    handle.remove()
    (out,) = outputs
    assert out.stride() == clean.stride()
    assert (out.int_repr() != clean.int_repr()).flatten(1).sum(1).tolist() == [1, 1]
    index = landed[0].hits[0][0].index
    assert int(out.int_repr()[0].flatten()[index]) == int(landed[0].after[0])


# MRFI and PyTorchFI build their injectors by running the model in the mode it is in: batch norms move.
def test_batch_norms_do_not_move(bits_of, same_bits):
    model = convolutional().eval()
    before = bits_of(model)
    x = torch.randn(2, 3, 8, 8)
    flow = observe(model, Activations(), lambda: model(x))
    plan = Drawn(FLIPS, flow.places, flow.spaces(Native()), Draw(0, 0))
    with flowing(model, flow.places, plan, FLIPS):
        for _ in range(3):  # PyTorchFI raises an IndexError at the second
            model(x)
    assert same_bits(model, before)


@pytest.mark.slow
def test_vit_b_16():
    model = torchvision.models.vit_b_16(num_classes=10).eval()
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad(), plain_attention():
        golden = model(x)
        where = of_type(nn.MultiheadAttention, nn.GELU)
        flow = observe(model, Activations(where), lambda: model(x))
        assert len(flow.places) == 24
        with inject(model, BitFlip(rate=1e-6), Weights()):
            assert not torch.equal(model(x), golden)
        plan = Drawn(FLIPS, flow.places, flow.spaces(Native()), Draw(0, 0))
        with flowing(model, flow.places, plan, FLIPS):
            assert not torch.equal(model(x), golden)
        assert torch.equal(model(x), golden)
