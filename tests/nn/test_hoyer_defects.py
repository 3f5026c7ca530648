"""Defects of the published code of the Hoyer method, each as a test that it is not here.

The regulariser that narrows the surrogate's window is in ``tests/spiking/test_regularizer.py``.
"""

import inspect

import pytest
import torch

from clipact import functional, nn
from clipact.functional import _hoyer_kernels, _hoyer_spike, _hoyer_sums, hoyer_extremum
from clipact.nn import HoyerSpike


def test_a_batch_without_spikes_does_not_make_the_threshold_nan_for_ever():
    layer = HoyerSpike(2)
    for x in (-torch.ones(4, 2), torch.zeros(4, 2), torch.rand(4, 2), -torch.ones(4, 2)):
        layer(x)
        assert layer.running_extremum.isfinite().all()
    assert 0 < layer.effective_threshold.min() < 1


def test_evaluation_before_training_does_not_fire_for_everything():
    layer = HoyerSpike().eval()
    assert layer(torch.tensor([-1.0, -0.0, 0.0, 0.5, 0.99, 1.0])).tolist() == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("momentum", [0.1, 0.01])
def test_the_moving_average_does_not_start_at_zero(momentum):
    layer = HoyerSpike(momentum=momentum)
    x = torch.rand(1000)
    layer(x)
    assert layer.running_extremum.item() == pytest.approx(hoyer_extremum(x).item())


def test_a_clip_value_that_changed_sign_is_used_by_its_size():
    x = torch.linspace(-2, 2, 101)
    layer, other = HoyerSpike(v_threshold=0.8), HoyerSpike(v_threshold=0.8)
    other.v_threshold.data.neg_()
    assert torch.equal(layer(x), other(x))
    assert torch.equal(layer.running_extremum, other.running_extremum)
    assert torch.equal(layer.effective_threshold, other.effective_threshold)
    assert other.effective_threshold > 0


def test_training_through_zero_stays_finite():
    layer = HoyerSpike(v_threshold=0.1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    for step in range(20):
        x = torch.randn(64, generator=torch.Generator().manual_seed(step)).requires_grad_()
        optimizer.zero_grad()
        layer(x).sum().mul(1 if step % 2 else -1).backward()
        optimizer.step()
        assert x.grad.isfinite().all()
        assert layer.v_threshold.isfinite().all()
        assert layer.running_extremum.isfinite().all()


def test_the_device_is_that_of_the_tensor():
    for module in (_hoyer_kernels, _hoyer_spike, _hoyer_sums, functional, nn):
        assert "cuda" not in inspect.getsource(module)
    layer, x = HoyerSpike(3).to("meta"), torch.empty(2, 3, device="meta", requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert y.device.type == x.grad.device.type == "meta"


def test_sums_in_half_precision_do_not_overflow():
    layer = HoyerSpike()
    x = torch.full((512, 512), 0.5, dtype=torch.float16)  # the sum is 131072, past the largest half
    layer(x)
    assert layer.running_extremum.item() == pytest.approx(0.5)
