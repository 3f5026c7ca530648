"""What other fault injectors get wrong with faults in activations, each as a test."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from clipact.faults import Activations, BitFlip, Campaign, Classification, Inputs, inject
from clipact.where import anywhere, of_type


class Attention(nn.Module):
    """Self-attention, whose module returns a tuple."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)[0]


class Integers(nn.Module):
    """A linear layer of int8 weights, as a deployed model has them."""

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.randint(-128, 128, (5, 12), dtype=torch.int8))

    def forward(self, x):
        return torch.relu(x @ self.weight.to(x.dtype).t())


def convolutional():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3))


IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
MODELS = {
    "channels_last": (
        lambda: convolutional().to(memory_format=torch.channels_last),
        IMAGES.contiguous(memory_format=torch.channels_last),
        of_type(nn.Conv2d),
    ),
    "bf16": (lambda: convolutional().bfloat16(), IMAGES.bfloat16(), of_type(nn.Conv2d)),
    "attention": (Attention, IMAGES.reshape(2, 24, 8), of_type(nn.MultiheadAttention)),
    "int8": (Integers, IMAGES.reshape(-1, 12), of_type(nn.ReLU)),
}


def words(tensor):
    ints = {2: torch.int16, 4: torch.int32}
    return tensor.detach().clone().contiguous().view(ints[tensor.element_size()])


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


# MRFI crashes on each of these; PyTorchFI on the second forward.
@pytest.mark.parametrize("kind", MODELS)
def test_the_model_runs_again_and_again_with_faults(kind, bits_of, same_bits):
    build, x, where = MODELS[kind]
    model, fault, target = build().eval(), BitFlip(rate=0.05), Activations(where=where)
    before, golden = bits_of(model), words(model(x))
    with inject(model, fault, target, example=x) as record:
        faulty = [words(model(x)) for _ in range(3)]
    assert len(record) > 0
    assert not torch.equal(faulty[0], golden)
    assert all(torch.equal(output, faulty[0]) for output in faulty)
    seen = []

    def evaluate(net):
        seen.append([words(net(x)) for _ in range(2)])
        return 0.0

    Campaign(model, evaluate, fault=fault, target=target, trials=3).run(
        progress=False, replay=False
    )
    assert all(torch.equal(first, second) for first, second in seen)
    assert sum(not torch.equal(first, golden) for first, _ in seen) == 3
    assert torch.equal(words(model(x)), golden)
    assert same_bits(model, before)
    assert hooks(model) == 0


# PyTorchFI draws a layer first, each as likely as any other, so that neurons of small layers are hit more often.
def test_a_neuron_is_as_likely_as_any_other_whatever_its_layer():
    model = nn.Sequential(nn.Linear(4, 300), nn.ReLU(), nn.Linear(300, 20), nn.Sigmoid())
    target, trials = Activations(where=of_type(nn.ReLU, nn.Sigmoid)), 1500
    data, fault = [(torch.randn(8, 4), torch.zeros(8, dtype=torch.long))], BitFlip(count=1)
    campaign = Campaign(
        model, Classification(data), fault=fault, target=target, trials=trials, per_sample=True
    )
    result = campaign.run(progress=False, replay=False)
    found = [each for trial in result.trials for each in trial.faults]
    assert len(found) == trials
    layers, bits = Counter(f.tensor for f in found), Counter(f.bit for f in found)
    assert set(layers) == {"1", "3"}
    share = 20 / 320
    spread = np.sqrt(trials * share * (1 - share))
    assert abs(layers["3"] - trials * share) < 3.9 * spread  # 99.99 %
    expected = trials / 32
    statistic = sum((bits[bit] - expected) ** 2 / expected for bit in range(32))
    assert statistic < 73.5  # the 99.99 % quantile of chi square, 31 degrees of freedom


# PyTorchFI runs the model as it finds it while it is built, and MRFI changes activations in place.
def test_statistics_modes_and_inputs_stay(bits_of, same_bits):
    model, x = convolutional(), IMAGES.clone()
    model[2].eval()
    before, modes = bits_of(model), [module.training for module in model.modules()]
    target = Activations(where=anywhere()) | Inputs()
    evaluation = Classification([(x, torch.zeros(2, dtype=torch.long))])
    flat = nn.Sequential(model, nn.Flatten())
    Campaign(flat, evaluation, fault=BitFlip(rate=1e-3), target=target, trials=4).run(
        progress=False
    )
    with inject(model, BitFlip(rate=1e-3), target, example=x) as record:
        pass
    assert len(record) > 0
    assert same_bits(model, before)
    assert modes == [module.training for module in model.modules()]
    assert torch.equal(x, IMAGES)
    model.eval()
    with inject(model, BitFlip(rate=1e-2), target, example=x):
        model(x)
    assert torch.equal(x, IMAGES)


# MRFI draws words with replacement and flips one bit of each.
def test_the_number_of_faults_is_binomial_and_a_word_can_have_several():
    model, x, rate = nn.Sequential(nn.Linear(4, 50), nn.ReLU()), torch.randn(3, 4), 0.1
    total, several = 0, 0
    for trial in range(200):
        with inject(model, BitFlip(rate=rate), Activations(), trial=trial, example=x) as record:
            per_word = Counter(fault.index for fault in record)
        assert len({(f.index, f.bit) for f in record}) == len(record)
        total += len(record)
        several += sum(count > 1 for count in per_word.values())
    bits = 200 * 50 * 32
    assert abs(total - bits * rate) < 3.9 * np.sqrt(bits * rate * (1 - rate))
    share = 1 - 0.9**32 - 32 * 0.1 * 0.9**31
    assert abs(several - 200 * 50 * share) < 3.9 * np.sqrt(200 * 50 * share * (1 - share))
