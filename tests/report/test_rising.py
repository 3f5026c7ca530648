"""The direction that values tell is that of the bits themselves."""

import numpy as np
import pytest
import torch

from clipact import faults
from clipact.errors import FaultError
from clipact.report._rising import rising

FLOATS = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.float8_e5m2]
INTEGERS = [torch.int8, torch.uint8, torch.int16, torch.int32]


def flipped(values, number_format, bits):
    """Values before and after one flip each, and whether the bit rose."""
    one = np.uint64(1) << bits.astype(np.uint64)
    codes = number_format.encode(values)
    after = number_format.decode(codes ^ one, values.dtype)
    return (values.double().numpy(), after.double().numpy()), np.where(codes & one, -1, 1)


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
    lowest, _ = flipped(values, native, np.zeros(len(values), dtype=np.int64))
    for bit in range(native.width(dtype)):
        bits = np.full(len(values), bit)
        found, truth = flipped(values, native, bits)
        # as a campaign sees a tensor: with faults in other bits too
        both = tuple(np.concatenate(pair) for pair in zip(found, lowest, strict=True))
        everywhere = np.concatenate([bits, np.zeros_like(bits)])
        told = rising(np.zeros_like(everywhere), everywhere, both, native)
        np.testing.assert_array_equal(told[: len(values)], truth)


@pytest.mark.parametrize(
    "number_format", [faults.FixedPoint(16, 8), faults.FixedPoint(32, 16)], ids=str
)
def test_fixed_point_bits(number_format):
    torch.manual_seed(0)
    values = torch.cat([30 * torch.randn(500), torch.tensor([torch.nan, torch.inf, -torch.inf])])
    for bit in range(number_format.bits):
        bits = np.full(len(values), bit)
        found, truth = flipped(values, number_format, bits)
        told = rising(np.zeros_like(bits), bits, found, number_format)
        known = told != 0
        np.testing.assert_array_equal(told[known], truth[known])
        assert known.mean() > 0.95  # float32 hides the lowest bits of large words


def test_whole_numbers_are_told_tensor_by_tensor():
    tensor, bit = np.array([0, 1, 1]), np.array([0, 0, 1])
    before, after = np.array([-4.0, -4.0, -0.5]), np.array([-3.0, -3.0, -0.25])
    # -4 to -3 sets a bit of an integer, and clears one of a float
    assert rising(tensor, bit, (before, after), faults.Native()).tolist() == [1, -1, -1]


def test_a_format_known_by_name_only(monkeypatch):
    number_format = faults.FixedPoint(16, 8)

    def refuse(self, dtype):
        raise FaultError("only its name is known")

    monkeypatch.setattr(faults.FixedPoint, "width", refuse)
    found = rising(np.zeros(1, dtype=int), np.array([3]), (np.zeros(1), np.ones(1)), number_format)
    assert found.tolist() == [1]
