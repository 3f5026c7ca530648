import numpy as np
import pytest
import torch
from torch import nn

from clipact.faults import BitFlip, Buffers, Native, inject

FLOATS = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.float8_e4m3fnuz,
    torch.float8_e5m2fnuz,
    torch.float8_e8m0fnu,
]
INTEGERS = [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64]


def flip(number_format, value, bit, dtype=torch.float32):
    code = number_format.encode(torch.tensor([value], dtype=dtype))
    return number_format.decode(code ^ np.uint64(1 << bit), dtype).item()


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
def test_native_is_the_identity_without_faults(dtype):
    words = torch.randint(0, 256, (64 * dtype.itemsize,), dtype=torch.uint8)
    values = words.view(dtype)
    again = Native().decode(Native().encode(values), dtype)
    assert again.dtype is dtype
    assert torch.equal(again.view(torch.uint8), words)
    assert Native().width(dtype) == 8 * dtype.itemsize


def test_native_bool_has_one_bit():
    assert Native().width(torch.bool) == 1
    assert flip(Native(), True, 0, torch.bool) is False
    assert flip(Native(), False, 0, torch.bool) is True


def test_exponent_flip_gives_nan_as_ieee_754_says():
    # 0x3FC00000 ^ 0x40000000 == 0x7FC00000, a quiet NaN; a published toolbox gives 1e31
    code = Native().encode(torch.tensor([1.5])) ^ np.uint64(1 << 30)
    assert code.tolist() == [0x7FC00000]
    assert torch.isnan(Native().decode(code, torch.float32)).all()
    assert flip(Native(), 1.0, 30) == float("inf")
    assert flip(Native(), 1.0, 31) == -1.0


def test_int8_sign_bit():
    assert flip(Native(), 3, 7, torch.int8) == -125


# from the definitions: OCP 8-bit floating point (e4m3fn has no infinity, e5m2 has), AMD's fnuz (0x80 is NaN)
@pytest.mark.parametrize(
    ("dtype", "value", "bit", "after"),
    [
        (torch.float8_e4m3fn, 1.0, 7, -1.0),
        (torch.float8_e4m3fn, 1.0, 6, 256.0),  # 0 0111 000 -> 0 1111 000
        (torch.float8_e4m3fn, 1.0, 0, 1.125),
        (torch.float8_e4m3fn, 0.0, 0, 2.0**-9),
        (torch.float8_e4m3fn, 448.0, 0, float("nan")),  # 0 1111 110 -> 0 1111 111
        (torch.float8_e5m2, 1.0, 7, -1.0),
        (torch.float8_e5m2, 1.0, 6, float("inf")),  # 0 01111 00 -> 0 11111 00
        (torch.float8_e5m2, 1.25, 6, float("nan")),
        (torch.float8_e5m2, 0.0, 0, 2.0**-16),
        (torch.float8_e5m2, float("inf"), 2, 57344.0 / 1.75),
        (torch.float8_e4m3fnuz, 0.0, 7, float("nan")),
        (torch.float8_e5m2fnuz, 0.0, 7, float("nan")),
        (torch.float8_e8m0fnu, 1.0, 0, 0.5),  # 127 -> 126
        (torch.float8_e8m0fnu, 1.0, 7, float("nan")),  # 127 -> 255
    ],
)
def test_flips_in_eight_bits(dtype, value, bit, after):
    model = nn.Module()
    model.register_buffer("held", torch.tensor([value]).to(dtype))
    with inject(model, BitFlip(count=1, bits=[bit]), Buffers()) as record:
        found = float(model.held)
    np.testing.assert_equal(found, after)
    np.testing.assert_equal(record.after, [after])
    assert float(model.held) == value


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize("bit", range(8))
def test_every_flip_of_every_word_of_eight_bits(dtype, bit):
    words = torch.arange(256).to(torch.uint8)
    model = nn.Module()
    model.register_buffer("held", words.clone().view(dtype))
    with inject(model, BitFlip(count=256, bits=[bit]), Buffers()):
        assert torch.equal(model.held.view(torch.uint8), words ^ (1 << bit))
    assert torch.equal(model.held.view(torch.uint8), words)
