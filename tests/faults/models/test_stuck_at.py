import numpy as np
import pytest
import torch

from clipact.errors import FaultError
from clipact.faults._hits import BitSpace
from clipact.faults._models import BitFlip, StuckAt


@pytest.mark.parametrize("value", [2, -1, True, 1.0, "1", None])
def test_refuses(value):
    with pytest.raises(FaultError, match="a bit is stuck at 0 or at 1"):
        StuckAt(value, count=1)
    with pytest.raises(FaultError, match="give exactly one"):
        StuckAt(1)


def test_prints_like_code():
    assert str(StuckAt(1, rate=1e-6)) == "StuckAt(1, rate=1e-06)"
    assert str(StuckAt(0, count=2, bits=[31])) == "StuckAt(0, count=2, bits=(31,))"
    assert StuckAt(np.int64(1), count=1) == StuckAt(1, count=1) != StuckAt(0, count=1)


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_bits_hit_have_the_value_and_no_other_changes(value, dtype, faulty):
    golden = torch.randint(0, 256, (100 * dtype.itemsize,), dtype=torch.uint8).view(dtype)
    now, record = faulty(golden, StuckAt(value, rate=0.2))
    width = 8 * dtype.itemsize
    expected = [int(word) & (2**width - 1) for word in golden.tolist()]
    for fault in record:
        one = 1 << fault.bit
        expected[fault.index] = (
            expected[fault.index] | one if value else expected[fault.index] & ~one
        )
    assert [int(word) & (2**width - 1) for word in now.tolist()] == expected
    assert {fault.kind for fault in record} == {f"stuck-at-{value}"}


def test_a_bit_that_has_the_value_is_a_fault_without_effect(faulty):
    golden = torch.full((30,), -1, dtype=torch.int8)
    now, record = faulty(golden, StuckAt(1, count=17))
    assert torch.equal(now, golden)
    assert len(record) == 17
    assert np.array_equal(record.before, record.after)
    now, record = faulty(golden, StuckAt(0, rate=1.0))
    assert torch.equal(now, torch.zeros(30, dtype=torch.int8))
    assert len(record) == 240


def test_hits_the_bits_that_a_flip_of_the_same_seed_hits(draw):
    spaces = [BitSpace("a", (40,), 32), BitSpace("b", (9,), 8)]
    for amount in ({"rate": 0.01}, {"count": 7}):
        stuck, flipped = (
            draw(model, spaces, 3)[0] for model in (StuckAt(0, **amount), BitFlip(**amount))
        )
        for a, b in zip(stuck, flipped, strict=True):
            assert np.array_equal(a.index, b.index)
            assert np.array_equal(a.mask, b.mask)


def test_counts_are_binomial(draw, is_binomial):
    spaces = [BitSpace("a", (30,), 16)]
    counts = [
        sum(
            int(mask).bit_count()
            for mask in draw(StuckAt(1, rate=0.03, bits=[1, 5]), spaces, seed)[0][0].mask
        )
        for seed in range(2000)
    ]
    assert is_binomial(counts, 60, 0.03)


def test_expected():
    assert StuckAt(1, rate=0.5, bits=[1]).expected([BitSpace("a", (30,), 16)]) == 15.0
