"""Fault models in a store, in a worker process and as keys."""

import pickle

import pytest
from torch import nn

from clipact.faults import Weights, inject
from clipact.faults._formats import FixedPoint, Int8, Native
from clipact.faults._models import (
    BitFlip,
    Burst,
    Extent,
    Noise,
    RandomValue,
    StuckAt,
    Zero,
)
from clipact.faults._records._listed import Listed
from clipact.faults._store._unknown import read_fault_model, read_format, write


def listed():
    with inject(nn.Linear(4, 3), Zero(count=2) + BitFlip(count=3), Weights()) as record:
        return Listed([record, record])


@pytest.mark.parametrize(
    "fault",
    [
        BitFlip(rate=1e-6),
        BitFlip(count=3, bits=[30]),
        BitFlip(count=3, bits=range(23, 31)),
        StuckAt(1, rate=1e-7, bits=range(8)),
        Burst(bits=4, rate=1e-7),
        Burst(words=Extent.ROW, count=1, chance=0.5),
        Burst(words=8, count=1),
        Zero(rate=0.5, words=Extent.CHANNEL),
        RandomValue(-1.0, 1.0, count=3),
        Noise(0.1, relative=True, rate=1.0),
        BitFlip(rate=1e-6) + StuckAt(1, rate=1e-7) + Zero(count=1),
        listed(),
    ],
)
def test_fault_models_come_back(fault):
    for again in (read_fault_model(write(fault)), pickle.loads(pickle.dumps(fault))):
        assert type(again) is type(fault)
        assert again == fault
        assert hash(again) == hash(fault)
        assert str(again) == str(fault)


@pytest.mark.parametrize("number_format", [Native(), FixedPoint(16, 8), Int8(), Int8(axis=0)])
def test_formats_come_back(number_format):
    for again in (read_format(write(number_format)), pickle.loads(pickle.dumps(number_format))):
        assert again == number_format
        assert str(again) == str(number_format)
