import numpy as np
import pytest
import torch

from clipact.errors import FaultError
from clipact.faults import FixedPoint

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FLOATS += [torch.float8_e4m3fn, torch.float8_e5m2]


def flip(number_format, value, bit, dtype=torch.float32):
    code = number_format.encode(torch.tensor([value], dtype=dtype))
    return number_format.decode(code ^ np.uint64(1 << bit), dtype).item()


@pytest.mark.parametrize(
    ("value", "bit", "expected"),
    [
        (1.5, 31, 1.5 - 2**15),
        (1.5, 0, 1.5 + 2**-16),
        (1.5, 16, 0.5),
        (-1.0, 31, 2**15 - 1.0),
        (0.0, 30, 2.0**14),
    ],
)
def test_fixed_point_flips(value, bit, expected):
    assert flip(FixedPoint(), value, bit, torch.float64) == expected


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (float("nan"), 0.0),
        (float("inf"), 7.875),
        (-float("inf"), -8.0),
        (1e30, 7.875),
        (-1e30, -8.0),
        (0.0625, 0.0),  # ties to even
        (0.1875, 0.25),
    ],
)
def test_fixed_point_rounds_and_saturates(value, stored):
    q = FixedPoint(bits=7, fraction=3)
    assert q.decode(q.encode(torch.tensor([value])), torch.float32).item() == stored


@pytest.mark.parametrize("bits", [2, 8, 16, 32, 53])
def test_fixed_point_holds_its_whole_range(bits):
    q = FixedPoint(bits=bits, fraction=1)
    ends = torch.tensor([-(2.0 ** (bits - 2)), 2.0 ** (bits - 2) - 0.5], dtype=torch.float64)
    assert torch.equal(q.decode(q.encode(ends), torch.float64), ends)


@pytest.mark.parametrize("dtype", FLOATS)
def test_fixed_point_is_finite_in_every_dtype(dtype):
    q = FixedPoint(bits=32, fraction=2)
    codes = np.array([0x7FFFFFFF, 0x80000000], dtype=np.uint64)
    values = q.decode(codes, dtype).to(torch.float64)
    assert torch.isfinite(values).all()
    assert values[0] > 0 > values[1]


@pytest.mark.parametrize(
    "kwargs", [{"bits": 1}, {"bits": 54}, {"bits": 8, "fraction": 8}, {"fraction": -1}]
)
def test_fixed_point_refuses(kwargs):
    with pytest.raises(FaultError):
        FixedPoint(**kwargs)


def test_fixed_point_refuses_integers():
    with pytest.raises(FaultError, match="int8"):
        FixedPoint().width(torch.int8)
