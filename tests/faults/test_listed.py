import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from clipact.errors import FaultError
from clipact.faults import (
    Activations,
    Biases,
    BitFlip,
    Buffers,
    Burst,
    Campaign,
    Extent,
    FixedPoint,
    Native,
    Noise,
    RandomValue,
    StuckAt,
    Weights,
    Zero,
    inject,
)
from clipact.faults._formats import Int8
from clipact.faults._hits import BitSpace, digest
from clipact.faults._models import Mechanism, draw_parts, number_of_faults
from clipact.faults._records._listed import Listed
from clipact.faults._records._load import load
from clipact.faults._streams import Draw

ALL = Weights() | Biases()
EXPONENT = tuple(range(23, 31))
MODELS = [
    BitFlip(rate=0.02),
    BitFlip(count=5, bits=EXPONENT),
    StuckAt(0, rate=0.02),
    StuckAt(1, rate=0.02),
    Burst(bits=4, words=Extent.ROW, count=3, chance=0.7),
    Zero(rate=0.05),
    RandomValue(-1.0, 1.0, count=7),
    Noise(0.1, relative=True, rate=0.1),
    BitFlip(rate=0.02) + Noise(1.0, rate=0.1) + StuckAt(1, rate=0.05) + BitFlip(rate=0.02),
]


def record_and_bits(model, fault, bits_of, number_format, **kwargs):
    with inject(model, fault, ALL, format=number_format, **kwargs) as record:
        return record, bits_of(model)


@pytest.mark.parametrize(
    ("fault", "number_format"),
    [
        *((fault, Native()) for fault in MODELS),
        *((fault, FixedPoint(bits=32, fraction=16)) for fault in MODELS),
        *((fault, Int8(axis=0)) for fault in MODELS if getattr(fault, "bits", 0) != EXPONENT),
    ],
)
def test_every_bit_is_as_in_the_original(fault, number_format, model, bits_of, same_bits, tmp_path):
    kwargs = {"number_format": number_format}
    golden = bits_of(model)
    record, once = record_and_bits(model, fault, bits_of, seed=3, trial=2, **kwargs)
    record.save(tmp_path / "faults.csv")
    for again in (record, load(tmp_path / "faults.csv")):
        listed, bits = record_and_bits(model, Listed(again), bits_of, **kwargs)
        assert str(list(listed)) == str(list(record))  # NaN is not equal to itself
        assert bits.keys() == once.keys()
        assert all(torch.equal(bits[name], once[name]) for name in once)
    assert same_bits(model, golden)
    assert not all(torch.equal(once[name], golden[name]) for name in once)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float8_e5m2, torch.int64])
@pytest.mark.parametrize("fault", [BitFlip(rate=0.1), RandomValue(-9.0, 9.0, rate=0.5)])
def test_other_types(dtype, fault):
    model = nn.Module()
    model.register_buffer("held", torch.randn(40).to(dtype))
    with inject(model, fault, Buffers()) as record:
        once = model.held.clone()
    with inject(model, Listed(record), Buffers()):
        assert torch.equal(model.held.view(torch.uint8), once.view(torch.uint8))


def test_flips_invert_what_is_in_another_model(model):
    other = copy.deepcopy(model)
    with torch.no_grad():
        other[4].weight.copy_(torch.randn_like(other[4].weight))
    with inject(model, BitFlip(count=9), Weights()) as record:
        pass
    golden = other[4].weight.detach().clone().view(torch.int32).reshape(-1)
    with inject(other, Listed(record), Weights()) as again:
        now = other[4].weight.detach().clone().view(torch.int32).reshape(-1)
    assert [(f.tensor, f.index, f.bit) for f in again] == [
        (f.tensor, f.index, f.bit) for f in record
    ]
    place = record.names.index("4.weight")
    expected = golden.clone()
    for index, bit in zip(
        record.index[record.tensor == place], record.bit[record.tensor == place], strict=True
    ):
        expected[index] ^= int(np.int64(1 << bit).astype(np.int32))
    assert torch.equal(now, expected)


def test_bits_are_stuck_and_words_are_taken_in_another_model():
    one, two = nn.Linear(5, 4), nn.Linear(5, 4)
    with inject(one, StuckAt(1, rate=0.3) + RandomValue(-1.0, 1.0, count=4), Weights()) as record:
        pass
    with inject(two, Listed(record), Weights()) as again:
        pass
    stuck = {(f.index, f.bit) for f in record if f.kind == "stuck-at-1"}
    assert {(f.index, f.bit) for f in again if f.kind == "stuck-at-1"} == stuck
    taken = {f.index: f.after for f in record if f.kind == "random"}
    assert {f.index: f.after for f in again if f.kind == "random"} == taken


def test_a_mechanism_of_the_users_own_is_listed_by_its_bits(model, bits_of):
    class Parity(Mechanism):
        kind = "parity"

        def expected(self, spaces):
            return 1.0

        def draw(self, spaces, draw):
            return BitFlip(rate=0.05).draw(spaces, draw)

        def corrupt(self, words):
            return words.codes ^ (words.mask & np.uint64(0x55555555))

    record, once = record_and_bits(model, Parity(), bits_of, Native())
    _, again = record_and_bits(model, Listed(record), bits_of, Native())
    assert all(torch.equal(again[name], once[name]) for name in once)


def test_digest_and_number_are_those_of_the_original():
    spaces = [BitSpace("weight", (4, 5), 32), BitSpace("bias", (4,), 32)]
    linear, fault = nn.Linear(5, 4), BitFlip(rate=0.05)
    with inject(linear, fault, ALL, seed=5) as record:
        pass
    drawn = draw_parts(fault, spaces, Draw(5, 0))
    listed = draw_parts(Listed(record), spaces, Draw(0, 0))
    assert digest(spaces, listed) == digest(spaces, drawn)
    assert number_of_faults(Listed(record), listed) == len(record)
    assert Listed(record).expected(spaces) == len(record)


def test_a_record_a_trial(model, bits_of):
    faults = [StuckAt(1, rate=0.01), BitFlip(count=4), Zero(count=2)]
    pairs = [
        record_and_bits(model, fault, bits_of, Native(), trial=n) for n, fault in enumerate(faults)
    ]
    listed = Listed([record for record, _ in pairs])
    for trial, (record, once) in enumerate(pairs):
        again, bits = record_and_bits(model, listed, bits_of, Native(), trial=trial)
        assert [(f.tensor, f.index, f.bit, f.kind) for f in again] == [
            (f.tensor, f.index, f.bit, f.kind) for f in record
        ]
        assert all(torch.equal(bits[name], once[name]) for name in once)
    with (
        pytest.raises(FaultError, match=r"has no trial 3; its trials are numbered from 0 to 2"),
        inject(model, listed, ALL, trial=3),
    ):
        pytest.fail("never entered")


def test_in_a_campaign(model):
    images = torch.randn(4, 3, 8, 8)

    def evaluate(net):
        return float(
            net(images).nan_to_num(nan=0.0, posinf=1e3, neginf=-1e3).clamp(-1e3, 1e3).sum()
        )

    fault = BitFlip(rate=0.01)
    records = []
    for trial in range(4):
        with inject(model, fault, Weights(), seed=9, trial=trial) as record:
            records.append(record)
    drawn = Campaign(model, evaluate, fault=fault, target=Weights(), trials=4, seed=9)
    listed = Campaign(model, evaluate, fault=Listed(records), target=Weights(), trials=4)
    a, b = drawn.run(progress=False), listed.run(progress=False)
    assert [t.metrics for t in a.trials] == [t.metrics for t in b.trials]
    assert [(t.flips, t.digest) for t in a.trials] == [(t.flips, t.digest) for t in b.trials]


def test_names_without_what_wrappers_add(model):
    with inject(nn.DataParallel(model), BitFlip(count=6), Weights()) as record:
        pass
    assert all(name.startswith("module.") for name in record.names)
    with inject(model, Listed(record), Weights()) as again:
        assert len(again) == 6


def test_no_fault_at_all(model, bits_of, same_bits):
    before = bits_of(model)
    with inject(model, BitFlip(count=0), Weights()) as record:
        pass
    with inject(model, Listed(record), Weights()) as again:
        assert same_bits(model, before)
    assert len(again) == 0
    assert str(Listed(record)).startswith("Listed(0 faults, ")


def test_prints_compares_and_travels(model):
    records = []
    for trial in range(2):
        with inject(model, BitFlip(count=3), Weights(), trial=trial) as record:
            records.append(record)
    one, both = Listed(records[0]), Listed(records)
    assert str(one).startswith("Listed(3 faults, ")
    assert str(both).startswith("Listed(2 trials, 6 faults, ")
    assert one == Listed([records[0]]) != Listed(records[1])
    assert str(Listed(records[1])) != str(one)
    assert len({one, Listed(records[0]), both}) == 2
    again = pickle.loads(pickle.dumps(both))
    assert (again, str(again)) == (both, str(both))
    assert Listed(both.records) == both


def target_of(shape, dtype=torch.float32, name="weight"):
    model = nn.Module()
    model.register_buffer(name, torch.zeros(shape, dtype=dtype))
    return model


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (target_of((3, 4), name="kernel"), "faults in weight, which the target does not have"),
        (target_of((3, 4), torch.float16), "words of 32 bits in weight, where a word has 16"),
        (target_of((2, 4)), r"a fault in word \d+ of weight, which has the words 0 to 7"),
    ],
)
def test_what_does_not_fit(other, message):
    with inject(target_of((3, 4)), BitFlip(rate=0.5), Buffers()) as record:
        pass
    with pytest.raises(FaultError, match=message), inject(other, Listed(record), Buffers()):
        pytest.fail("never entered")


def test_refuses():
    with pytest.raises(FaultError, match="has no record"):
        Listed([])
    for wrong in ([1], [None], ["x"]):
        with pytest.raises(
            FaultError, match=r"give what inject\(\) yields or faults\.load\(\) reads"
        ):
            Listed(wrong)
    row = ("weight", 32, 0, 0, "flip", 3, 0)
    with pytest.raises(FaultError, match="record 1, flip in word 0 of weight: it is given twice"):
        Listed(((row,), (row, row)))
    with pytest.raises(FaultError, match="has no bit 32"):
        Listed(((("weight", 32, 0, 0, "flip", 32, 0),),))
    with pytest.raises(FaultError, match="its word has 16 bits, others of this tensor 32"):
        Listed(((row, ("weight", 16, 1, 0, "flip", 3, 0)),))


def test_faults_in_values_that_had_not_come_by(model):
    images = torch.randn(2, 3, 8, 8)
    target = Activations()
    with inject(model, BitFlip(count=3), target, example=images) as record:
        once = model(images)
    with inject(model, Listed(record), target, example=images):
        assert torch.equal(model(images).view(torch.int32), once.view(torch.int32))
    with inject(model, RandomValue(0.0, 1.0, count=3), target, example=images) as record:
        pass
    with pytest.raises(
        FaultError, match=r"of the fault 'random' in word .* only the place is known"
    ):
        Listed(record)
