"""What other fault injectors get wrong when they draw faults and change bits, each as a test."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from clipact.faults import Biases, BitFlip, Campaign, Classification, Weights, inject, population
from clipact.where import of_type


def chi_square_limit(freedom):
    """The 99.99 % quantile, by Wilson and Hilferty."""
    return freedom * (1 - 2 / (9 * freedom) + 3.719 * (2 / (9 * freedom)) ** 0.5) ** 3


def chi_square(observed, expected):
    observed, expected = np.array(observed, dtype=float), np.array(expected, dtype=float)
    return ((observed - expected) ** 2 / expected).sum()


def within_binomial(hits, trials, probability):
    """Whether a count is within 3.9 standard deviations (99.99 %)."""
    spread = math.sqrt(trials * probability * (1 - probability))
    return abs(hits - trials * probability) < 3.9 * spread


@pytest.fixture(scope="module")
def resnet():
    return torchvision.models.resnet18().eval()


# MRFI flips at most one bit of a word that it draws.
def test_a_word_can_have_several_faults():
    model = nn.Linear(20, 20, bias=False)
    golden = model.weight.detach().clone().flatten().view(torch.int32).numpy().view("u4")
    with inject(model, BitFlip(rate=0.1), Weights()) as record:
        now = model.weight.detach().flatten().view(torch.int32).numpy().view("u4")
        flipped = [int(word).bit_count() for word in now ^ golden]
        found = Counter(fault.index for fault in record)
    assert [found[index] for index in range(400)] == flipped
    several = sum(count > 1 for count in flipped)
    none, one = 0.9**32, 32 * 0.1 * 0.9**31
    assert within_binomial(several, 400, 1 - none - one)


# PyTorchFI draws a layer first, each as likely as any other, so that weights of small layers are hit more often.
def test_a_weight_is_as_likely_as_any_other_whatever_its_layer():
    model = nn.Sequential(nn.Linear(60, 20, bias=False), nn.Linear(20, 3), nn.BatchNorm1d(3))
    trials, layers, bits = 3000, Counter(), Counter()
    for trial in range(trials):
        with inject(model, BitFlip(count=1), Weights() | Biases(), trial=trial) as record:
            for fault in record:
                layers[fault.tensor] += 1
                bits[fault.bit] += 1
    sizes = {name: p.numel() for name, p in model.named_parameters()}
    share = trials / sum(sizes.values())
    observed = [layers["0.weight"], layers["1.weight"], trials]
    observed[2] -= observed[0] + observed[1]
    expected = [1200 * share, 60 * share, 9 * share]
    assert chi_square(observed, expected) < chi_square_limit(2)
    assert chi_square([bits[b] for b in range(32)], [trials / 32] * 32) < chi_square_limit(31)
    assert set(layers) <= set(sizes)


# The ProAct authors' toolbox rounds each tensor's number of faults down: 27 of 35.8 flips at this rate, none in small tensors.
def test_the_number_of_faults_is_not_truncated(resnet):
    rate, seeds = 1e-7, 300
    sizes = {name: p.numel() for name, p in resnet.named_parameters()}
    small = [name for name, size in sizes.items() if size * 32 * rate < 0.5]
    total, in_small = 0, 0
    for seed in range(seeds):
        with inject(resnet, BitFlip(rate=rate), Weights(), seed=seed) as record:
            total += len(record)
            in_small += sum(fault.tensor in small for fault in record)
    bits = population(resnet, Weights())
    small_bits = 32 * sum(sizes[name] for name in small if not name.endswith("bias"))
    assert 35 < bits * rate < 38
    assert within_binomial(total, seeds * bits, rate)
    assert within_binomial(in_small, seeds * small_bits, rate)


# Nor does it ever hit batch norms, which have few words.
def test_batch_norms_are_hit(resnet):
    target = Weights(where=of_type(nn.BatchNorm2d)) | Biases(where=of_type(nn.BatchNorm2d))
    bits, rate, seeds = population(resnet, target), 1e-6, 200
    hits, kinds = 0, set()
    for seed in range(seeds):
        with inject(resnet, BitFlip(rate=rate), target, seed=seed) as record:
            hits += len(record)
            kinds |= {fault.tensor.rpartition(".")[2] for fault in record}
    assert within_binomial(hits, seeds * bits, rate)
    assert kinds == {"weight", "bias"}


# It draws with replacement: a bit drawn twice is flipped back, and fewer are changed than was said.
@pytest.mark.parametrize("fault", [BitFlip(count=900), BitFlip(rate=0.5)])
def test_a_bit_is_drawn_once(fault):
    model = nn.Linear(10, 5, bias=False)
    golden = model.weight.detach().clone().view(torch.int32).numpy().view("u4")
    for trial in range(20):
        with inject(model, fault, Weights(), trial=trial) as record:
            now = model.weight.detach().view(torch.int32).numpy().view("u4")
            changed = sum(int(word).bit_count() for word in (now ^ golden).flatten())
        assert len({(f.tensor, f.index, f.bit) for f in record}) == len(record) == changed


def flipped(value, bit):
    """A float32 weight with one bit flipped, and what a layer then gives for an input of 1."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, value)
    with inject(model, BitFlip(count=1, bits=[bit]), Weights()) as record:
        (fault,) = record
        return fault.after, model(torch.ones(1, 1)).item()


# It converts floats by hand and clamps infinities: 1e31 in place of NaN and of inf.
@pytest.mark.parametrize(
    ("value", "bit", "after"),
    [
        (1.5, 30, math.nan),
        (1.0, 30, math.inf),
        (-1.0, 30, -math.inf),
        (math.inf, 31, -math.inf),
        (math.inf, 0, math.nan),
        (0.0, 0, 2.0**-149),
        (1.5, 31, -1.5),
        (0.03, 30, 0.03 * 2.0**128),
    ],
)
def test_values_are_those_of_the_hardware(value, bit, after):
    for found in flipped(value, bit):
        np.testing.assert_equal(np.float32(found), np.float32(after))
        assert math.copysign(1, found) == math.copysign(1, after) or math.isnan(after)


def test_nan_and_inf_are_counted():
    model = nn.Linear(8, 3, bias=False)
    nn.init.ones_(model.weight)
    data = [(torch.rand(5, 8) + 0.1, torch.zeros(5, dtype=torch.long))]
    campaign = Campaign(
        model, Classification(data), fault=BitFlip(rate=0.2), target=Weights(), trials=30
    )
    result = campaign.run(progress=False)
    assert result.values("due", BitFlip(rate=0.2)).max() == 1.0
    assert result.golden["due"] == 0.0
