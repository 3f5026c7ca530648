"""Every classification model of torchvision, against calls counted by a TorchFunctionMode."""

from contextlib import contextmanager
from unittest.mock import patch

import pytest
import torch
import torchvision
from torch import nn
from torch.overrides import TorchFunctionMode
from torchvision.models.regnet import BlockParams

from clipact.nn import RangeRestricted
from clipact.surgery import evaluating, find_sites, replace_activations

ALL = torchvision.models.list_models(module=torchvision.models)
KNOWN = {
    "resnet18": 17,
    "resnet50": 49,
    "googlenet": 57,
    "inception_v3": 94,
    "densenet121": 121,
    "mobilenet_v2": 35,
    "vit_b_16": 12,
    "swin_t": 12,
    "convnext_tiny": 18,
    "efficientnet_b0": 49,
}
LIGHT = [
    "alexnet",
    "vgg11",
    "resnet18",
    "squeezenet1_1",
    "googlenet",
    "densenet121",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "mnasnet0_5",
    "efficientnet_b0",
    "regnet_y_400mf",
]
COUNTED = {
    "relu",
    "relu6",
    "gelu",
    "silu",
    "hardswish",
    "leaky_relu",
    "elu",
    "selu",
    "mish",
    "hardtanh",
}


class Count(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.calls += func.__name__.rstrip("_") in COUNTED
        return func(*args, **(kwargs or {}))


@contextmanager
def on_meta():
    """The meta device, but not for the arithmetic with which RegNets compute their widths."""
    make = BlockParams.from_init_params

    def on_cpu(*args, **kwargs):
        with torch.device("cpu"):
            return make(*args, **kwargs)

    with torch.device("meta"), patch.object(BlockParams, "from_init_params", on_cpu):
        yield


def build(name):
    slow = name in {"googlenet", "inception_v3"}
    return torchvision.models.get_model(
        name, weights=None, **({"init_weights": False} if slow else {})
    )


def side(name, small):
    if name == "inception_v3":
        return 299
    return small if not name.startswith(("vit", "swin", "maxvit")) else 224


def unlimited(site):
    return RangeRestricted(site.activation, -torch.inf, torch.inf)


def check_count(name):
    with on_meta():
        model = build(name)
    x = torch.empty(1, 3, side(name, 224), side(name, 224), device="meta")
    with evaluating(model), Count() as counter:
        model(x)
    sites = find_sites(model, x)
    assert len(sites) == counter.calls == KNOWN.get(name, counter.calls)
    assert len({site.name for site in sites}) == len(sites)
    return sites


def check_bits(name):
    torch.manual_seed(0)
    model = build(name)
    x = torch.randn(1, 3, side(name, 64), side(name, 64))
    keys, classes = set(model.state_dict()), [type(module) for module in model.modules()]
    with evaluating(model):
        golden = model(x).view(torch.int32)
        with replace_activations(model, unlimited, example=x) as receipt:
            assert torch.equal(model(x).view(torch.int32), golden)
            assert keys <= set(model.state_dict())
            assert len({id(new) for _, new in receipt.changes}) == len(receipt.changes)
        assert torch.equal(model(x).view(torch.int32), golden)
    assert set(model.state_dict()) == keys
    assert [type(module) for module in model.modules()] == classes


@pytest.mark.parametrize("name", KNOWN)
def test_expected_counts(name):
    kinds = {site.kind for site in check_count(name)}
    expected = {
        "vit_b_16": nn.GELU,
        "swin_t": nn.GELU,
        "convnext_tiny": nn.GELU,
        "efficientnet_b0": nn.SiLU,
    }
    assert expected.get(name, next(iter(kinds))) in kinds


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ALL if name not in KNOWN])
def test_counts(name):
    check_count(name)


@pytest.mark.parametrize("name", LIGHT)
def test_infinite_range_is_bit_equal(name):
    check_bits(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ALL if name not in LIGHT])
def test_infinite_range_is_bit_equal_everywhere(name):
    check_bits(name)
