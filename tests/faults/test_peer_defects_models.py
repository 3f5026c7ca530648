"""Models on which other fault injectors crash, each as a test."""

import pytest
import torch
from torch import nn

from clipact.faults import (
    Activations,
    Biases,
    BitFlip,
    Buffers,
    Campaign,
    Classification,
    Thresholds,
    Weights,
    inject,
)
from clipact.nn import SaturatedReLU

FLOATS = Weights() | Biases()


class Integers(nn.Module):
    """A linear layer of int8 weights, as a deployed model has them."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.randint(-128, 128, (5, 12), dtype=torch.int8))

    def forward(self, x):
        return x @ self.weight.to(x.dtype).t()


class Attention(nn.Module):
    """Self-attention, whose module returns a tuple."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)[0]


def convolutional():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3))


MODELS = {
    "channels_last": (
        FLOATS | Buffers(),
        lambda: convolutional().to(memory_format=torch.channels_last),
        lambda: torch.randn(2, 3, 8, 8).contiguous(memory_format=torch.channels_last),
    ),
    "bf16": (
        FLOATS | Buffers(),
        lambda: convolutional().bfloat16(),
        lambda: torch.randn(2, 3, 8, 8).bfloat16(),
    ),
    "attention": (FLOATS, Attention, lambda: torch.randn(2, 6, 8)),
    "int8": (Buffers(), Integers, lambda: torch.randn(2, 12)),
}


def words(tensor):
    ints = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    return tensor.detach().clone().contiguous().view(ints[tensor.element_size()])


# MRFI crashes on each of these; PyTorchFI on the second forward, and on quantised models.
@pytest.mark.parametrize("kind", MODELS)
def test_the_model_runs_again_and_again_with_faults(kind, bits_of, same_bits):
    target, build, example = MODELS[kind]
    model, x = build().eval(), example()
    before, golden = bits_of(model), words(model(x))
    with inject(model, BitFlip(rate=0.01), target) as record:
        faulty = [words(model(x)) for _ in range(3)]
        strides = [tensor.stride() for tensor in model.state_dict().values()]
    assert len(record) > 0
    assert not torch.equal(faulty[0], golden)
    assert all(torch.equal(output, faulty[0]) for output in faulty)
    assert torch.equal(words(model(x)), golden)
    assert same_bits(model, before)
    assert strides == [tensor.stride() for tensor in model.state_dict().values()]


# MRFI and PyTorchFI crash on these.
@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_quantised_models_run_with_faults_in_weights_and_activations():
    quantization = pytest.importorskip("torch.ao.quantization")
    plain = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 3)).eval()
    model, x = quantization.quantize_dynamic(plain, {nn.Linear}), torch.randn(5, 12)
    golden = words(model(x))
    integers = [model[place].weight().int_repr() for place in (0, 2)]
    for target in (Weights(), Activations()):
        with inject(model, BitFlip(rate=0.02), target, example=x) as record:
            faulty = [words(model(x)) for _ in range(2)]
        assert len(record) > 0
        assert not torch.equal(faulty[0], golden)
        assert torch.equal(faulty[0], faulty[1])
        data = Classification([(x, torch.zeros(5, dtype=torch.long))])
        Campaign(model, data, fault=BitFlip(count=1), target=target, trials=3).run(progress=False)
        assert torch.equal(words(model(x)), golden)
    now = [model[place].weight().int_repr() for place in (0, 2)]
    assert all(torch.equal(a, b) for a, b in zip(now, integers, strict=True))


# Kept of what a peer does: the authors of ProAct inject into thresholds as well.
def test_thresholds_can_be_hit():
    model = nn.Sequential(nn.Linear(4, 4), SaturatedReLU(torch.ones(4)))
    with inject(model, BitFlip(count=128), Thresholds()) as record:
        assert {fault.tensor for fault in record} == {"1.threshold"}
        assert bool((model[1].threshold != 1.0).all())
    assert bool((model[1].threshold == 1.0).all())
