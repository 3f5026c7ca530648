import numpy as np
import pytest
import torch

from clipact.errors import FaultError
from clipact.faults._hits import BitSpace
from clipact.faults._models import BitFlip

SPACES = [BitSpace("a", (10, 10), 8), BitSpace("b", (200,), 1)]
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn]
DTYPES += [torch.float8_e5m2, torch.int8, torch.int16, torch.int64, torch.bool]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({}, "got rate=None and count=None; give exactly one"),
        ({"rate": 0.1, "count": 1}, "give exactly one"),
        ({"rate": -1e-9}, "a probability per bit is from 0 to 1"),
        ({"rate": 1.1}, "a probability per bit is from 0 to 1"),
        ({"rate": float("nan")}, "a probability per bit is from 0 to 1"),
        ({"count": -1}, "give an integer of at least 0"),
        ({"count": 1.5}, "give an integer of at least 0"),
        ({"count": True}, "give an integer of at least 0"),
        ({"count": 1, "bits": 30}, r"give positions, as bits=\[30\]"),
        ({"count": 1, "bits": []}, "at least one position"),
        ({"count": 1, "bits": [-1]}, "integers from 0"),
        ({"count": 1, "bits": [3, 3]}, "each once"),
        ({"count": 1, "bits": [1.5]}, "integers from 0"),
    ],
)
def test_refuses(kwargs, message):
    with pytest.raises(FaultError, match=message):
        BitFlip(**kwargs)


def test_prints_like_code_and_compares():
    assert str(BitFlip(rate=1e-6)) == "BitFlip(rate=1e-06)"
    assert str(BitFlip(count=3)) == "BitFlip(count=3)"
    assert str(BitFlip(count=3, bits=[30])) == "BitFlip(count=3, bits=(30,))"
    assert str(BitFlip(count=3, bits=[2, 0, 1])) == "BitFlip(count=3, bits=range(0, 3))"
    assert BitFlip(rate=0.5) == BitFlip(rate=0.5) != BitFlip(rate=0.25)
    assert BitFlip(count=1, bits=range(4, 8)) == BitFlip(count=1, bits=np.array([7, 6, 5, 4]))
    assert len({BitFlip(count=1, bits=range(4, 8)), BitFlip(count=1, bits=[4, 5, 6, 7])}) == 1
    for fault in (BitFlip(rate=1e-6), BitFlip(count=3, bits=range(23, 31))):
        assert eval(str(fault), {"BitFlip": BitFlip}) == fault


def test_expected():
    assert BitFlip(rate=0.25).expected(SPACES) == 250.0
    assert BitFlip(rate=0.25, bits=[0]).expected(SPACES) == 75.0
    assert BitFlip(count=np.int64(2)).expected(SPACES) == 2.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_counts_are_binomial_in_every_dtype(dtype, is_binomial, draw):
    width = 1 if dtype is torch.bool else 8 * dtype.itemsize
    spaces, seeds = [BitSpace("a", (7, 5), width), BitSpace("b", (9,), 16)], 2000
    rate = 0.02
    counts = [
        sum(
            int(mask).bit_count()
            for one in draw(BitFlip(rate=rate), spaces, seed)[0]
            for mask in one.mask
        )
        for seed in range(seeds)
    ]
    assert is_binomial(counts, sum(space.bits for space in spaces), rate)


@pytest.mark.parametrize("amount", [{"rate": 0.03}, {"count": 4}])
@pytest.mark.parametrize("bits", [None, (0, 3, 7), range(4, 8)])
def test_bits_are_uniform_over_those_that_may_be_hit(amount, bits, chi_square_limit, draw, bits_in):
    spaces, seeds = [BitSpace("a", (3, 4), 8), BitSpace("b", (2,), 8)], 2000
    hits = np.zeros((14, 8))
    for seed in range(seeds):
        (found,) = draw(BitFlip(**amount, bits=bits), spaces, seed)
        hits += np.concatenate(
            [bits_in(one, space) for one, space in zip(found, spaces, strict=True)]
        )
    chosen = list(range(8) if bits is None else bits)
    assert hits[:, [bit for bit in range(8) if bit not in chosen]].sum() == 0
    hits = hits[:, chosen]
    p = hits.sum() / seeds / hits.size
    assert p == pytest.approx(amount.get("rate", amount.get("count", 0) / hits.size), rel=0.05)
    statistic = ((hits - seeds * p) ** 2 / (seeds * p * (1 - p))).sum()
    assert statistic < chi_square_limit(hits.size)


def test_all_positions_are_no_positions(draw):
    spaces = [BitSpace("a", (40,), 32), BitSpace("b", (9,), 32)]
    for amount in ({"rate": 0.01}, {"count": 7}):
        for a, b in zip(
            draw(BitFlip(**amount), spaces)[0],
            draw(BitFlip(**amount, bits=range(32)), spaces)[0],
            strict=True,
        ):
            assert np.array_equal(a.index, b.index)
            assert np.array_equal(a.mask, b.mask)


def test_every_chosen_bit_at_rate_one_and_none_at_rate_zero(faulty):
    golden = torch.arange(50, dtype=torch.int16)
    now, record = faulty(golden, BitFlip(rate=1.0, bits=[0, 2]))
    assert torch.equal(now, golden ^ 0b101)
    assert len(record) == 100
    now, record = faulty(golden, BitFlip(rate=0.0))
    assert torch.equal(now, golden)
    assert len(record) == 0


def test_more_bits_than_exist(faulty, draw):
    with pytest.raises(FaultError, match="13 bits are to be hit, but the target has 12"):
        draw(BitFlip(count=13, bits=[4]), [BitSpace("a", (12,), 8)])
    with pytest.raises(FaultError, match="bit 16, but a word of held has the bits 0 to 15"):
        faulty(torch.zeros(3, dtype=torch.bfloat16), BitFlip(count=1, bits=[3, 16]))


def test_exponent_bits_only(faulty):
    golden = torch.randn(200)
    now, record = faulty(golden, BitFlip(count=40, bits=range(23, 31)))
    changed = now.view(torch.int32) ^ golden.view(torch.int32)
    assert set(record.bit.tolist()) <= set(range(23, 31))
    assert (changed & 0x807FFFFF == 0).all()
    assert sum(int(word).bit_count() for word in changed) == 40


@pytest.mark.parametrize("dtype", DTYPES)
def test_in_memory_as_by_the_pure_function(dtype, faulty, purely):
    bytes_ = torch.randint(0, 2 if dtype is torch.bool else 256, (60 * dtype.itemsize,))
    golden = bytes_.to(torch.uint8).view(dtype).reshape(6, 10)
    now, record = faulty(golden, BitFlip(rate=0.1), seed=4)
    assert len(record) > 3
    assert torch.equal(
        now.view(torch.uint8), purely(golden, BitFlip(rate=0.1), seed=4).view(torch.uint8)
    )
