import itertools

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from clipact.errors import SurgeryError
from clipact.surgery import dense_operations, effective_operations

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def sparse(*shape):
    return torch.randn(shape).double() * (torch.rand(shape) < 0.3)


def by_the_layer_itself(layer, x):
    """A layer whose weights are all 1 counts the nonzero inputs of each output."""
    with torch.no_grad():
        layer.weight.fill_(1.0)
        return int(layer((x != 0).double()).sum())


def assert_counted(layer, x):
    output = layer(x)
    with FlopCounterMode(display=False) as profiler:
        layer(x)
    assert 2 * dense_operations(layer, x, output) == profiler.get_total_flops()
    assert int(effective_operations(layer, x, output)) == by_the_layer_itself(layer, x)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_a_convolution_is_counted_exactly(dimensions, mode):
    for kernel, stride, padding, dilation, groups in itertools.product(
        (1, 3), (1, 2, 3), (0, 1, "same"), (1, 2), (1, 2)
    ):
        if padding == "same" and stride > 1:
            continue
        layer = CONVOLUTIONS[dimensions](
            4, 6, kernel, stride, padding, dilation, groups, bias=False, padding_mode=mode
        )
        assert_counted(layer.double(), sparse(2, 4, *[6] * dimensions))


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_a_transposed_convolution_is_counted_exactly(dimensions):
    for kernel, stride, padding, more, groups in itertools.product(
        (1, 3), (2, 3), (0, 1), (0, 1), (1, 2)
    ):
        if kernel == 1 and padding == 1:
            continue
        layer = TRANSPOSED[dimensions](
            4, 6, kernel, stride, padding, more, groups, bias=False
        ).double()
        assert_counted(layer, sparse(2, 4, *[5] * dimensions))


def test_sizes_may_differ_by_axis():
    layer = nn.Conv2d(2, 3, (5, 2), (2, 1), (2, 0), (1, 3), bias=False).double()
    assert_counted(layer, sparse(1, 2, 9, 11))


def test_a_layer_and_input_without_batch():
    assert_counted(nn.Conv2d(2, 3, 3, bias=False).double(), sparse(2, 8, 8))
    layer, x = nn.Linear(4, 3), torch.tensor([0.0, -0.0, 2.0, float("nan")])
    assert dense_operations(layer, x, layer(x)) == 12
    assert int(effective_operations(layer, x, layer(x))) == 6


def test_leading_axes_of_a_linear_layer():
    layer, x = nn.Linear(4, 3).double(), sparse(2, 5, 4)
    assert dense_operations(layer, x, layer(x)) == 2 * 5 * 4 * 3
    assert int(effective_operations(layer, x, layer(x))) == 3 * int((x != 0).sum())


def test_an_empty_batch_costs_nothing():
    for layer, x in [
        (nn.Linear(4, 3), torch.zeros(0, 4)),
        (nn.Conv1d(4, 3, 2), torch.zeros(0, 4, 5)),
    ]:
        assert dense_operations(layer, x, layer(x)) == 0
        assert int(effective_operations(layer, x, layer(x))) == 0


def test_other_layers_are_refused_by_name():
    x = torch.zeros(1, 4)
    with pytest.raises(SurgeryError, match="BatchNorm1d cannot be counted; those of Linear"):
        effective_operations(nn.BatchNorm1d(4), x, x)
