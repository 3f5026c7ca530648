import math

import pytest
import torch
from torch import nn

import clipact as ca
from clipact.errors import CalibrationError, ThresholdError


def small(activation=nn.ReLU):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), activation(),
        nn.Conv2d(4, 4, 3, padding=1), activation(), nn.Flatten(), nn.Linear(4 * 16, 3),
    ).eval()  # fmt: skip


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(16, 1, 4, 4, generator=generator) for _ in range(3)]


@pytest.mark.parametrize("granularity", list(ca.Granularity))
@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU, nn.Hardswish])
def test_within_the_calibration_data_nothing_changes(granularity, activation, batches):
    model = small(activation)
    with torch.no_grad():
        before = [model(batch) for batch in batches]
        ca.protect(model, ca.methods.ClipToMean(granularity), batches, progress=False)
        assert all(torch.equal(model(x), y) for x, y in zip(batches, before, strict=True))


@pytest.mark.parametrize("wrong", [math.inf, -math.inf, math.nan, 1e30])
def test_out_of_range_becomes_the_healthy_mean(wrong, batches):
    model = small(nn.GELU)
    with torch.no_grad():
        healthy = torch.cat([model[:3](batch) for batch in batches])
        ca.protect(model, ca.methods.ClipToMean(), batches, progress=False)
        mended = model[2](torch.full((1, 4, 4, 4), wrong))
    expected = healthy.mean((0, 2, 3)).view(1, 4, 1, 1).expand(1, 4, 4, 4)
    if wrong == -math.inf:  # GELU of it is NaN
        assert mended.isfinite().all()
    torch.testing.assert_close(mended, expected, rtol=1e-4, atol=1e-6)


def test_a_relu_needs_two_numbers_a_channel(batches):
    model = small()
    receipt = ca.protect(model, ca.methods.ClipToMean(output_guard=False), batches, progress=False)
    shapes = [tuple(value.shape) for value in ca.thresholds(model).values()]
    assert shapes == 2 * [(1,), (4, 1, 1), (4, 1, 1)]
    receipt.restore()
    assert type(model[2]) is nn.ReLU


def test_the_layer_that_gives_the_output_is_left_to_the_guard(batches):
    kinds = (*ca.ACTIVATIONS, nn.Linear)
    guarded, bare = small(), small()
    ca.protect(guarded, ca.methods.ClipToMean(), batches, kinds=kinds, progress=False)
    receipt = ca.protect(
        bare, ca.methods.ClipToMean(output_guard=False), batches, kinds=kinds, progress=False
    )
    assert [site.name for site, _ in receipt.changes] == ["2", "4", "6"]
    with torch.no_grad():
        low = torch.cat([small()(batch) for batch in batches]).amin(0)
        guarded[6].bias[1] += 1e6
        slack = 0.25 * low[1].abs()
        torch.testing.assert_close(guarded(batches[0])[:, 1], (low[1] - slack).expand(16))


def test_percentile_and_margin(batches):
    model = small()
    ca.protect(model, ca.methods.ClipToMean(percentile=99.0, margin=1.5), batches, progress=False)
    profile = ca.calibrate(small(), batches, quantiles="channel")
    torch.testing.assert_close(model[2].high.data, 1.5 * profile["2"].quantile(0.99, "channel"))


def test_bad_input(batches):
    with pytest.raises(ThresholdError):
        ca.methods.ClipToMean("neuron", percentile=99.0)
    with pytest.raises(ThresholdError):
        ca.methods.ClipToMean(guard_margin=0.0)
    segmenter = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    with pytest.raises(CalibrationError, match="needs logits"):
        ca.protect(segmenter, ca.methods.ClipToMean(), batches, progress=False)
    assert type(segmenter[1]) is nn.ReLU
