"""Replayed and full outputs are the same to the last bit."""

import warnings

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional

from clipact.faults import Biases, Buffers, Weights

EVERYTHING = Weights() | Biases()


class _PreActivation(nn.Module):
    """Changes what it was given, by way of an in-place activation in front."""

    def __init__(self):
        super().__init__()
        self.norm, self.relu = nn.BatchNorm2d(4), nn.ReLU(inplace=True)
        self.first, self.second = (nn.Conv2d(4, 4, 3, padding=1) for _ in range(2))

    def forward(self, x):
        y = self.first(self.relu(self.norm(x)))
        y = self.second(self.relu(y))
        y += x
        return y


class _AddsToItsInput(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x):
        x += self.linear(x).sin()
        return x


class _Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.norm = nn.Embedding(20, 8), nn.LayerNorm(8)
        self.mix = nn.LSTM(8, 8, batch_first=True)

    def forward(self, tokens):
        hidden, _ = self.mix(self.embed(tokens))
        return functional.linear(self.norm(hidden), self.embed.weight)


class _ReadsEarly(nn.Module):
    """Reads a weight long before the module that owns it is called."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = (nn.Linear(6, 6) for _ in range(3))

    def forward(self, x):
        doubled = self.third.weight * 2
        hidden = self.second(self.first(x))
        return {"y": functional.linear(hidden, doubled), "more": (self.third(hidden), 3, None)}


class _Decides(nn.Module):
    """Takes another course for other values."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = (nn.Linear(6, 6) for _ in range(3))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        first = self.first(x)
        kept = self.relu(first)
        second = self.second(kept)
        if second.abs().max() > 3:
            return first.add_(second)
        if second.sum() > 0:
            kept = self.third(first)
        first *= 1.5
        return first + second + kept


class _Sequence(nn.Module):
    def __init__(self, recurrent):
        super().__init__()
        self.recurrent, self.head = recurrent, nn.Linear(8, 4)

    def forward(self, x):
        y, _ = self.recurrent(x)
        return self.head(y)


class _Attention(nn.Module):
    """``out_proj`` is never called, only its weight is read."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Linear(8, 8), nn.Linear(8, 3)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        x = self.embed(x)
        return self.head(self.attention(x, x, x)[0])


class _Called(nn.Module):
    """Calls one module several times, one of them with a list."""

    def __init__(self):
        super().__init__()
        self.layer, self.relu = nn.Linear(6, 6), nn.ReLU(inplace=True)
        self.gather, self.head = _Gather(), nn.Linear(6, 2)

    def forward(self, x):
        parts = [self.relu(self.layer(x))]
        self.gather(parts)
        parts.append(self.layer(parts[-1]))
        return self.head(torch.stack(parts).sum(0))


class _Gather(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, parts):
        parts.append(self.layer(parts[0]))
        return parts[-1]


def _parametrised():
    model = nn.Sequential(*(nn.Linear(6, 6) for _ in range(5)))
    nn.utils.parametrizations.weight_norm(model[1])
    nn.utils.parametrizations.spectral_norm(model[2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        nn.utils.weight_norm(model[3])
    return model


def _vit():
    model = torchvision.models.VisionTransformer(
        16, 4, num_layers=3, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5
    )
    nn.init.normal_(model.heads.head.weight)
    return model


def _resnet():
    return torchvision.models.resnet18(num_classes=5)


def _images(*, count=2, size=32):
    return [torch.randn(count, 3, size, size) for _ in range(2)]


def _rows(width=6):
    return [torch.randn(5, width) for _ in range(3)]


def _steps(width=6):
    return [torch.randn(3, 5, width) for _ in range(2)]


def _tokens():
    return [torch.randint(20, (2, 6)) for _ in range(2)]


MODELS = {
    "resnet": (_resnet, _images),
    "mobilenet": (lambda: torchvision.models.mobilenet_v2(num_classes=5), _images),
    "densenet": (
        lambda: torchvision.models.DenseNet(8, (2, 2, 2), 8, num_classes=5),
        _images,
    ),
    "vit": (_vit, lambda: _images(size=16)),
    "pre-activation": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), *(_PreActivation() for _ in range(3))),
        lambda: _images(size=8),
    ),
    "in place on its input": (
        lambda: nn.Sequential(
            nn.Linear(6, 6), _AddsToItsInput(), nn.Dropout(), nn.Identity(), _AddsToItsInput()
        ),
        _rows,
    ),
    "in place on the model's input": (
        lambda: nn.Sequential(_AddsToItsInput(), nn.Linear(6, 6), _AddsToItsInput()),
        _rows,
    ),
    "gru": (lambda: _Sequence(nn.GRU(6, 8, 2, batch_first=True)), _steps),
    "lstm": (lambda: _Sequence(nn.LSTM(6, 8, batch_first=True)), _steps),
    "tied": (_Tied, _tokens),
    "reads early": (_ReadsEarly, _rows),
    "decides": (_Decides, _rows),
    "attention": (_Attention, lambda: _steps(8)),
    "fused encoder": (
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3, enable_nested_tensor=False
        ),
        lambda: _steps(8),
    ),
    "plain encoder": (
        lambda: nn.Sequential(nn.Linear(8, 8), nn.TransformerEncoderLayer(8, 2, 16)),
        lambda: _steps(8),
    ),
    "parametrised": (_parametrised, _rows),
    "called several times": (_Called, _rows),
}


@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_those_of_full_runs(bench, name):
    make, data = MODELS[name]
    found = bench(make(), data(), target=EVERYTHING)
    found.record()
    skipped, _, _ = found.check()
    assert skipped > 0


@pytest.mark.parametrize("name", ["resnet", "vit", "gru", "decides", "parametrised", "tied"])
@pytest.mark.parametrize("budget", [0, 3_000, 60_000])
def test_a_budget_changes_no_bit(bench, name, budget):
    make, data = MODELS[name]
    found = bench(make(), data(), target=EVERYTHING)
    found.record(budget=budget)
    assert found.recording.nbytes <= budget
    found.check(trials=15)


@pytest.mark.parametrize("name", ["resnet", "vit", "decides", "attention", "in place on its input"])
def test_in_inference_mode(bench, name):
    make, data = MODELS[name]
    found = bench(make(), data(), target=EVERYTHING, around=(torch.inference_mode,))
    found.record()
    skipped, _, _ = found.check(trials=15)
    assert skipped > 0


@pytest.mark.parametrize("name", ["resnet", "vit", "tied", "called several times"])
def test_under_autocast_which_caches_casts_of_weights(bench, name):
    make, data = MODELS[name]
    cast = lambda: torch.autocast("cpu", torch.bfloat16)  # noqa: E731 - entered anew each time
    found = bench(make(), data(), target=EVERYTHING, around=(torch.no_grad, cast))
    found.record()
    skipped, masked, _ = found.check(trials=25)
    assert skipped > 0
    assert masked > 0  # bfloat16 has few bits to show a fault in


def test_in_bfloat16(bench):
    found = bench(_resnet().bfloat16(), [x.bfloat16() for x in _images()], target=Weights())
    found.record()
    skipped, masked, _ = found.check(trials=15)
    assert skipped > 0
    assert masked > 0


def test_channels_last(bench):
    last = torch.channels_last
    images = [x.to(memory_format=last) for x in _images()]
    found = bench(_resnet().to(memory_format=last), images, target=Weights())
    found.record()
    assert found.check(trials=15)[0] > 0


def test_buffers(bench):
    found = bench(_resnet(), _images(), target=Buffers())
    found.record()
    skipped, masked, _ = found.check(trials=15)
    assert skipped > 0
    assert masked > 0  # counters of batches, which no operation reads


def test_script_modules_are_leaves(bench):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        inner = torch.jit.script(nn.Sequential(nn.Linear(6, 6), nn.ReLU()))
    model = nn.Sequential(nn.Linear(6, 6), inner, nn.Linear(6, 3))
    found = bench(model, _rows(), target=Biases())
    found.record()
    assert found.check()[0] > 0
