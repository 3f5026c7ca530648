import numpy as np
import pytest
import torch

from clipact.errors import FaultError
from clipact.faults import BitFlip, Native
from clipact.faults._hits import BitSpace
from clipact.faults._words import Words

SPACES = [BitSpace("a", (10, 10), 8), BitSpace("b", (200,), 1)]


def words(codes, mask):
    """Words of a uint8 tensor."""
    codec = Native().bind(torch.empty(0, dtype=torch.uint8))
    arrays = [np.array(each, dtype=np.uint64) for each in (codes, mask)]
    return Words(*arrays, None, [codec], np.zeros(len(codes), dtype=np.int64), None)


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
    assert BitFlip(count=np.int64(2)).expected(SPACES) == 2.0


def test_expected():
    assert BitFlip(rate=0.25).expected(SPACES) == 250.0


def test_several_bits_of_a_word_combine():
    assert BitFlip(count=1).corrupt(words([0b1010], [0b0110])).tolist() == [0b1100]
