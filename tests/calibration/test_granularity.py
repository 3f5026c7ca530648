import pytest
import torch

from clipact.calibration import Granularity, channel_axis, reduce_to
from clipact.errors import CalibrationError


def largest(values, dims):
    return values.amax(dims, keepdim=True)


@pytest.mark.parametrize(
    ("sample", "granularity", "channel_dim", "shape"),
    [
        ((3, 4, 5), Granularity.LAYER, None, (1,)),
        ((3, 4, 5), Granularity.CHANNEL, None, (3, 1, 1)),
        ((3, 4, 5), Granularity.CHANNEL, -1, (5,)),
        ((3, 4, 5), Granularity.NEURON, None, (3, 4, 5)),
        ((7,), Granularity.LAYER, None, (1,)),
        ((7,), Granularity.CHANNEL, None, (7,)),
        ((7,), Granularity.NEURON, None, (7,)),
        ((6, 7), Granularity.CHANNEL, None, (7,)),
        ((6, 7), Granularity.CHANNEL, 1, (6, 1)),
        ((2, 3, 4, 5), Granularity.CHANNEL, None, (2, 1, 1, 1)),
    ],
)
def test_threshold_shapes_broadcast_and_hold_the_maximum(sample, granularity, channel_dim, shape):
    values = torch.randn(sample)
    found = reduce_to(values, granularity, largest, channel_dim)
    assert found.shape == shape
    assert torch.broadcast_shapes(found.shape, values.shape) == values.shape
    assert bool((values <= found).all())
    assert set(found.flatten().tolist()) <= set(values.flatten().tolist())


@pytest.mark.parametrize("axis", [0, 4, -4, -5])
def test_an_axis_that_is_not_there(axis):
    with pytest.raises(CalibrationError, match=f"channel_dim={axis} is not an axis"):
        channel_axis(4, axis)


def test_a_granularity_that_is_none():
    with pytest.raises(
        CalibrationError, match="'chanel' asked for; there is 'layer', 'channel', 'neuron'"
    ):
        Granularity("chanel")
