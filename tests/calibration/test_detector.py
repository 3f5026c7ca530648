import pytest
import torch
from torch import nn

import clipact as ca
from clipact.errors import OutOfRangeError, OutOfRangeWarning, SelectionError


@pytest.fixture
def model():
    return nn.Sequential(
        ca.nn.ZeroedReLU(1.0), nn.Identity(), ca.nn.SaturatedReLU(torch.tensor([0.5, 2.0]))
    )


X = torch.tensor([[0.2, 0.9], [0.9, 5.0], [float("nan"), -3.0]])


def test_counts_by_site_and_adds_up(model):
    with ca.RangeDetector(model) as detector:
        model(X)
        model(X)
    assert detector.counts == {"0": 4, "2": 2}
    assert detector.total == 6
    detector.reset()
    assert detector.counts == {"0": 0, "2": 0}


def test_costs_and_sees_nothing_outside(model):
    with ca.RangeDetector(model) as detector:
        pass
    model(X)
    assert detector.total == 0
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_warns(model):
    with (
        ca.RangeDetector(model[:1], ca.OnOutOfRange.WARN),
        pytest.warns(OutOfRangeWarning, match="2 of 6 values at '0'"),
    ):
        model(X)


def test_raises_and_lets_go(model):
    with (
        pytest.raises(OutOfRangeError, match="2 of 6 values at '0'"),
        ca.RangeDetector(model, ca.OnOutOfRange.RAISE),
    ):
        model(X)
    assert not any(module._forward_pre_hooks for module in model.modules())
    model(X)


def test_is_silent_in_range(model):
    with ca.RangeDetector(model, ca.OnOutOfRange.RAISE) as detector:
        model(torch.tensor([[0.1, 0.2]]))
    assert detector.total == 0


def test_a_model_without_clipact_activations():
    with pytest.raises(SelectionError, match="no clipact activation to watch"):
        ca.RangeDetector(nn.Sequential(nn.ReLU()))


def test_the_activation_inside_a_range_runs_once():
    torch.manual_seed(0)
    model = nn.Sequential(ca.nn.RangeRestricted(nn.RReLU(), -0.2, 1.0)).train()
    x = torch.randn(1000)
    torch.manual_seed(1)
    alone = model(x)
    torch.manual_seed(1)
    with ca.RangeDetector(model) as detector:
        assert torch.equal(model(x), alone)
    torch.manual_seed(1)
    inner = model[0].activation(x)
    assert detector.total == int(((inner < -0.2) | (inner > 1.0)).sum()) > 0


def test_a_detector_does_not_watch_twice(model):
    detector = ca.RangeDetector(model)
    with detector:
        with pytest.raises(RuntimeError, match="watching already"), detector:
            pass
        model(X)
    assert detector.total == 3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_agrees_with_the_forward_in_half_precision(dtype):
    activation = ca.nn.SaturatedReLU(0.9999)
    x = torch.tensor([1.0], dtype=dtype)
    assert torch.equal(activation(x), x)
    assert not activation.out_of_range(x).any()
