"""Rows of a layer by themselves have the bits that they have together with the others, or are not used."""

import random

import pytest
import torch
from torch import nn

from clipact.faults import Biases, Weights
from clipact.faults._replay._kernel import find_kernel


def _kernel(layer, x):
    with torch.no_grad():
        return find_kernel(layer.forward, {id(layer.weight): 0}, ((x,), {}), layer(x))


LAYERS = {
    "convolution": (lambda: nn.Conv2d(16, 32, 3, padding=1), (8, 16, 7, 7)),
    "strided": (lambda: nn.Conv2d(16, 64, 1, stride=2, bias=False), (8, 16, 8, 8)),
    "grouped": (lambda: nn.Conv2d(16, 32, 3, groups=4), (8, 16, 7, 7)),
    "depthwise": (lambda: nn.Conv2d(32, 32, 3, groups=32), (8, 32, 7, 7)),
    "one dimension": (lambda: nn.Conv1d(16, 32, 3), (8, 16, 40)),
    "linear": (lambda: nn.Linear(64, 128), (64, 64)),
    "sequences": (lambda: nn.Linear(64, 256), (4, 20, 64)),
    "odd": (lambda: nn.Linear(33, 100), (70, 33)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", LAYERS)
def test_rows_have_the_bits_of_the_whole(name, dtype):
    make, shape = LAYERS[name]
    layer, x = make().to(dtype), torch.randn(shape).relu().to(dtype)
    kernel = _kernel(layer, x)
    if kernel is None:
        pytest.skip("on this machine rows by themselves are computed in another way")
    ints = {torch.float32: torch.int32, torch.bfloat16: torch.int16}[dtype]
    draw = random.Random(0)
    with torch.no_grad():
        golden = layer(x)
        for _ in range(30):
            row = draw.randrange(len(layer.weight))
            flat = layer.weight.view(ints).view(-1)
            at = row * layer.weight[0].numel() + draw.randrange(layer.weight[0].numel())
            before = flat[at].clone()
            flat[at] ^= 1 << draw.randrange(dtype.itemsize * 8 - 1)
            full, some = layer(x), kernel.redo(((x,), {}), golden, [row])
            flat[at] = before
            if some is not None:
                assert full.stride() == some.stride()
                assert torch.equal(full.view(ints), some.view(ints))
                assert (some is golden) == torch.equal(golden.view(ints), some.view(ints))
        assert torch.equal(golden.view(ints), layer(x).view(ints))


def test_few_values_are_no_evidence():
    """Six values that agree by chance once passed for a proof."""
    for _ in range(20):
        assert _kernel(nn.Linear(6, 6), torch.randn(5, 6)) is None
        assert _kernel(nn.Linear(64, 128), torch.zeros(64, 64)) is None


def test_rows_that_are_not_finite_are_left_to_the_whole():
    layer, x = nn.Conv2d(16, 32, 3), torch.randn(8, 16, 7, 7)
    kernel = _kernel(layer, x)
    assert kernel is not None
    with torch.no_grad():
        golden = layer(x)
        layer.weight[3, 0, 0, 0] = float("nan")
        assert kernel.redo(((x,), {}), golden, [3]) is None
        assert kernel.redo(((x,), {}), golden, [4]) is golden


def test_many_rows_are_left_to_the_whole():
    layer, x = nn.Conv2d(16, 32, 3), torch.randn(8, 16, 7, 7)
    kernel = _kernel(layer, x)
    with torch.no_grad():
        assert kernel.redo(((x,), {}), layer(x), range(16)) is None


class _Own(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) * 2


@pytest.mark.parametrize(
    "layer",
    [
        _Own(16, 32, 3),
        nn.Conv2d(16, 32, 3, padding=1, padding_mode="reflect"),
        nn.ConvTranspose2d(16, 32, 3),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(16, 32, 3)),
    ],
)
def test_layers_that_do_more_have_no_kernel(layer):
    x = torch.randn(8, 16, 7, 7)
    with torch.no_grad():
        targets = {id(p): n for n, p in enumerate(layer.parameters())}
        assert find_kernel(layer.forward, targets, ((x,), {}), layer(x)) is None


def test_a_layer_with_a_forward_of_its_own_has_no_kernel():
    layer, x = nn.Conv2d(16, 32, 3), torch.randn(8, 16, 7, 7)
    layer.forward = lambda x: nn.Conv2d.forward(layer, x) * 2
    assert _kernel(layer, x) is None


def test_replay_uses_them(bench, monkeypatch):
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(inplace=True), nn.Conv2d(16, 32, 3)
    )
    found = bench(model, [torch.randn(8, 3, 10, 10)], target=Weights() | Biases())
    found.record()
    found.check(trials=40)
    names = [item.name for item in found.tensors]
    ran = []
    monkeypatch.setattr(model[3], "_conv_forward", lambda *_: ran.append(1))
    with found.recording.replaying(
        [names.index("3.weight"), names.index("3.bias")],
        rows={names.index("3.weight"): [5], names.index("3.bias"): [5, 7]},
    ) as replay:
        found.run()
    assert ran == []
    assert replay.golden
