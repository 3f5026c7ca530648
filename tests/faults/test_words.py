import numpy as np
import pytest
import torch

from clipact.faults import FixedPoint, Native
from clipact.faults._memory._words import Words

NAN, INF = float("nan"), float("inf")


def words(tensors, number_format=None):
    codecs = [(number_format or Native()).bind(tensor) for tensor in tensors]
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    codes = codecs[0].format.encode(flat)
    owner = np.repeat(np.arange(len(tensors)), [tensor.numel() for tensor in tensors])
    return Words(codes, np.ones_like(codes), None, codecs, owner, None)


def encoded(values, dtype, number_format=None):
    found = words([torch.zeros(len(values), dtype=dtype)], number_format)
    codes = found.encode(np.array(values))
    return found.codecs[0].format.decode(codes, dtype)


def test_values():
    tensor = torch.tensor([1.5, -0.0, NAN, INF], dtype=torch.bfloat16)
    np.testing.assert_array_equal(words([tensor]).values(), [1.5, 0.0, NAN, INF])
    assert words([torch.tensor([True, False])]).values().tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (torch.uint8, [-3.0, 2.5, 3.5, 300.0, NAN, INF, -INF], [0, 2, 4, 255, 0, 255, 0]),
        (torch.int8, [-300.0, -2.5, 127.4, NAN, -INF], [-128, -2, 127, 0, -128]),
        (torch.int32, [2.0**31, -(2.0**31), 1e300], [2**31 - 1, -(2**31), 2**31 - 1]),
        (torch.int64, [2.0**63, -(2.0**63), 2.0**53, INF], [2**63 - 1, -(2**63), 2**53, 2**63 - 1]),
        (torch.bool, [0.0, 0.4, 0.6, 7.0, -1.0, NAN], [False, False, True, True, False, False]),
        (torch.float16, [1e6, -1e6, 0.5], [INF, -INF, 0.5]),
    ],
)
def test_encode_is_a_cast_that_rounds_and_saturates(dtype, values, expected):
    assert encoded(values, dtype).tolist() == expected


def test_encode_in_a_number_format():
    found = encoded([0.3, 1e9], torch.float32, FixedPoint(bits=8, fraction=4))
    assert found.tolist() == [0.3125, 7.9375]


def test_spread_is_of_each_words_own_tensor_and_finite_values():
    a, b = torch.tensor([1.0, 3.0, NAN, INF]), torch.tensor([5.0, 5.0])
    assert words([a, b]).spread().tolist() == [1.0] * 4 + [0.0] * 2
