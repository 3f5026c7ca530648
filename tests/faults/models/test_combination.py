import numpy as np
import pytest
import torch
from torch import nn

from clipact.errors import FaultError
from clipact.faults import Biases, FixedPoint, Weights, inject
from clipact.faults._hits import BitSpace
from clipact.faults._models import (
    BitFlip,
    Combination,
    Noise,
    RandomValue,
    StuckAt,
    Zero,
    number_of_faults,
)

SPACES = [BitSpace("a", (40,), 32), BitSpace("b", (9,), 8)]


def test_prints_compares_and_is_flat():
    a, b, c = BitFlip(rate=1e-6), StuckAt(1, rate=1e-7), Zero(count=1)
    assert str(a + b) == "BitFlip(rate=1e-06) + StuckAt(1, rate=1e-07)"
    assert (a + b) + c == a + (b + c) == Combination((a, b, c))
    assert len({a + b, a + b, b + a}) == 2
    assert (a + b).parts == (a, b)
    assert a.parts == (a,)


@pytest.mark.parametrize("other", [1, None, StuckAt, [BitFlip(count=1)]])
def test_refuses_what_is_no_fault_model(other):
    with pytest.raises(FaultError, match="add fault models"):
        BitFlip(count=1) + other


def test_expected_is_the_sum():
    assert (BitFlip(count=3) + Zero(rate=0.5)).expected(SPACES) == 3 + 24.5


def test_each_part_draws_for_itself_and_the_first_as_alone(draw):
    twice = draw(BitFlip(rate=0.02) + BitFlip(rate=0.02), SPACES)
    alone = draw(BitFlip(rate=0.02), SPACES)[0]
    for one, same in zip(alone, twice[0], strict=True):
        assert np.array_equal(one.index, same.index)
    assert not np.array_equal(twice[0][0].index, twice[1][0].index)
    other = draw(Zero(rate=0.0) + BitFlip(rate=0.02), SPACES)[1]
    assert np.array_equal(other[0].index, twice[1][0].index)


def test_parts_are_uncorrelated(draw):
    both, n = 0, 2000
    for seed in range(n):
        a, b = draw(Zero(rate=0.3) + Zero(rate=0.3), SPACES[1:], seed)
        both += np.intersect1d(a[0].index, b[0].index).size
    expected = n * 9 * 0.09
    assert abs(both - expected) < 4 * expected**0.5


def test_applied_in_order(faulty):
    golden = torch.full((20,), 5, dtype=torch.uint8)
    now, _ = faulty(golden, Zero(rate=1.0) + StuckAt(1, rate=1.0, bits=[1]))
    assert set(now.tolist()) == {2}
    now, _ = faulty(golden, StuckAt(1, rate=1.0, bits=[1]) + Zero(rate=1.0))
    assert set(now.tolist()) == {0}
    now, _ = faulty(golden, BitFlip(rate=1.0) + BitFlip(rate=1.0))
    assert torch.equal(now, golden)


def test_a_word_hit_by_both_is_recorded_by_both(faulty):
    golden = torch.full((30,), 5, dtype=torch.uint8)
    fault = StuckAt(1, count=200) + Zero(count=10)
    now, record = faulty(golden, fault)
    assert len(record) == 210
    assert record.kinds == ("stuck-at-1", "zero")
    keys = list(zip(record.tensor, record.index, record.part, record.bit, strict=True))
    assert keys == sorted(keys)
    zeroed = {f.index for f in record if f.kind == "zero"}
    assert set(np.flatnonzero(now.numpy() == 0)) == zeroed
    assert all(f.after == 0.0 and f.before == 5.0 for f in record if f.index in zeroed)


@pytest.mark.parametrize("number_format", [None, FixedPoint(bits=12, fraction=4)])
def test_in_memory_as_by_the_pure_function(number_format, faulty, purely):
    golden = torch.randn(30, 4)
    fault = BitFlip(rate=0.02) + Noise(0.3, rate=0.2) + StuckAt(0, rate=0.1, bits=[3, 7])
    kwargs = {"format": number_format} if number_format else {}
    now, record = faulty(golden, fault, **kwargs)
    assert set(record.part.tolist()) == {0, 1, 2}
    assert torch.equal(
        now.view(torch.int32), purely(golden, fault, number_format).view(torch.int32)
    )


def test_several_tensors_of_several_types(bits_of, same_bits):
    model = nn.Sequential(nn.Linear(9, 5), nn.Linear(5, 4).to(torch.bfloat16))
    before = bits_of(model)
    fault = BitFlip(rate=0.02) + RandomValue(0.0, 1.0, rate=0.3)
    with inject(model, fault, Weights() | Biases()) as record:
        now = dict(model.named_parameters())
        for each in record:
            value = float(now[each.tensor].detach().reshape(-1)[each.index])
            assert value == each.after or np.isnan(each.after)
        changed = {
            (name, i)
            for name, word in bits_of(model).items()
            for i in np.flatnonzero((word != before[name]).numpy())
        }
        assert changed <= {(f.tensor, f.index) for f in record}
        assert len(changed) > 20
    assert same_bits(model, before)


def test_number_of_faults(draw):
    fault = BitFlip(count=7) + Zero(count=5)
    assert number_of_faults(fault, draw(fault, SPACES)) == 12
