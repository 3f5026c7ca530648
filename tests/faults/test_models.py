import numpy as np
import pytest

from clipact.errors import FaultError
from clipact.faults import BitFlip


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"rate": 0.1, "count": 1},
        {"rate": -1e-9},
        {"rate": 1.1},
        {"rate": float("nan")},
        {"count": -1},
        {"count": 1.5},
        {"count": True},
    ],
)
def test_refuses(kwargs):
    with pytest.raises(FaultError):
        BitFlip(**kwargs)


def test_prints_in_a_table_and_compares():
    assert str(BitFlip(rate=1e-6)) == "BitFlip(rate=1e-06)"
    assert str(BitFlip(count=3)) == "BitFlip(count=3)"
    assert BitFlip(rate=0.5) == BitFlip(rate=0.5) != BitFlip(rate=0.25)
    assert BitFlip(count=np.int64(2)).expected(10) == 2.0


def test_expected():
    assert BitFlip(rate=0.25).expected(1000) == 250.0


def test_several_bits_of_a_word_combine():
    codes = np.array([0b1010], dtype=np.uint64)
    assert BitFlip(count=1).corrupt(codes, np.array([0b0110], dtype=np.uint64)).tolist() == [0b1100]
