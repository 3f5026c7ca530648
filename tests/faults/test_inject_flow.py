"""inject() with faults in values that flow."""

import math

import pytest
import torch
from torch import nn

from clipact.errors import FaultError
from clipact.faults import Activations, BitFlip, Inputs, StuckAt, Weights, inject


@pytest.fixture
def images():
    return torch.randn(4, 3, 8, 8)


def test_activations_are_hit_in_every_sample_and_forward(model, images):
    model.eval()
    clean = model(images)
    with inject(model, BitFlip(count=1), Activations(), seed=2, example=images[:2]) as record:
        seen = []
        handle = model[3].register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
        assert not torch.equal(model(images), clean)
        model(images[:1])
        handle.remove()
    (fault,) = record
    assert (fault.tensor, math.isnan(fault.before)) == ("2", True)
    relu = model[:3](images)
    changed = (seen[0] != relu).flatten(1)
    assert changed.sum(1).tolist() == [1] * 4
    assert changed[:, fault.index].all()
    torch.testing.assert_close(seen[1], seen[0][:1])  # a batch of one rounds in another way
    assert torch.equal(model(images), clean)
    assert not model[2]._forward_hooks


def test_inputs_and_weights_together(model, images):
    model.eval()
    before = images.clone()
    with inject(
        model, StuckAt(1, count=50), Weights() | Inputs(), seed=0, example=(images,)
    ) as record:
        model(images)
    assert {fault.tensor for fault in record} >= {"4.weight", "input[0]"}
    assert torch.equal(images, before)
    assert len(record) == 50


def test_an_example_is_needed_for_what_flows(model):
    with (
        pytest.raises(FaultError, match="give example="),
        inject(model, BitFlip(count=1), Activations()),
    ):
        pass


def test_nothing_is_left_after_an_exception(model, images, bits_of, same_bits):
    model.eval()
    before = bits_of(model)
    hooks = {name: len(m._forward_hooks) for name, m in model.named_modules()}

    def fail():
        with inject(model, BitFlip(rate=1e-2), Weights() | Activations(), example=images):
            model(images)
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        fail()
    assert same_bits(model, before)
    assert {name: len(m._forward_hooks) for name, m in model.named_modules()} == hooks


def test_the_model_keeps_its_mode_while_it_is_observed(images):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).train()
    mean = net[1].running_mean.clone()
    with inject(net, BitFlip(count=1), Activations(), example=images):
        assert net.training
        assert torch.equal(net[1].running_mean, mean)
