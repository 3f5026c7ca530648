"""The direction that values tell is that of the bits themselves."""

import numpy as np
import pytest
import torch

from clipact import faults
from clipact.report._rising import rising

FLOATS = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.float8_e5m2]
INTEGERS = [torch.int8, torch.uint8, torch.int16, torch.int32]


def flipped(values, number_format, bits):
    """Columns of one fault a value, and the truth."""
    codes = number_format.encode(values)
    after = number_format.decode(codes ^ (np.uint64(1) << bits.astype(np.uint64)), values.dtype)
    columns = {
        "tensor": np.array(["weight"] * len(bits)),
        "bit": bits,
        "before": values.double().numpy(),
        "after": after.double().numpy(),
    }
    was = (codes >> bits.astype(np.uint64)) & np.uint64(1)
    return columns, np.where(was == 0, 1, -1)


def values_of(dtype):
    if dtype.is_floating_point:
        special = torch.tensor([0.0, -0.0, 1.0, -1.0, torch.inf, -torch.inf], dtype=torch.float64)
        return torch.cat([torch.randn(500, dtype=torch.float64), special]).to(dtype)
    info = torch.iinfo(dtype)
    return torch.randint(info.min, info.max, (500,)).to(dtype)


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS], ids=str)
def test_native_bits(dtype):
    torch.manual_seed(0)
    values, native = values_of(dtype), faults.Native()
    for bit in range(native.width(dtype)):
        columns, truth = flipped(values, native, np.full(len(values), bit))
        # as a campaign sees a tensor: with faults in other bits too
        others, _ = flipped(values, native, np.zeros(len(values), dtype=np.int64))
        both = {k: np.concatenate([columns[k], others[k]]) for k in columns}
        np.testing.assert_array_equal(rising(both, np.arange(len(values)), native), truth)


@pytest.mark.parametrize(
    "number_format", [faults.FixedPoint(16, 8), faults.FixedPoint(32, 16)], ids=str
)
def test_fixed_point_bits(number_format):
    torch.manual_seed(0)
    values = torch.cat([30 * torch.randn(500), torch.tensor([torch.nan, torch.inf, -torch.inf])])
    for bit in range(number_format.bits):
        columns, truth = flipped(values, number_format, np.full(len(values), bit))
        found = rising(columns, np.arange(len(values)), number_format)
        told = found != 0
        np.testing.assert_array_equal(found[told], truth[told])
        assert told.mean() > 0.95  # float32 hides the lowest bits of large words


def test_only_the_places_asked_for():
    columns = {
        "tensor": np.array(["a", "a", "b"]),
        "bit": np.array([30, 3, 30]),
        "before": np.array([0.5, 0.5, 0.25]),
        "after": np.array([1e38, 0.4, 1e-30]),
    }
    assert rising(columns, np.array([2, 0]), faults.Native()).tolist() == [-1, 1]
