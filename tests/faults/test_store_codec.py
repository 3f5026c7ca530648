import json
import math
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import pytest

from clipact.errors import CampaignError, FaultError
from clipact.faults import BitFlip, FaultModel, FixedPoint, Native
from clipact.faults._results._summary import Estimator
from clipact.faults._store._codec import UnreadableError, decode, encode, show
from clipact.faults._store._unknown import (
    read_estimator,
    read_fault_model,
    read_format,
    write,
)


class Shape(Enum):
    WORD = 1
    ROW = 2


@dataclass(frozen=True)
class Place:
    start: int
    end: float = math.inf


@dataclass(frozen=True)
class Odd(FaultModel):
    """A user's own, with everything that a frozen dataclass may hold."""

    shape: Shape
    places: tuple[Place, ...] | None = None
    inner: FaultModel | None = None
    name: str = "é"
    flag: bool = True
    hidden: int = field(default=3, init=False)

    @property
    def parts(self):
        return ()

    def expected(self, spaces):
        return 0.0


@pytest.mark.parametrize(
    "fault",
    [
        BitFlip(rate=1e-6),
        BitFlip(rate=0.1 + 0.2),
        BitFlip(count=3),
        BitFlip(count=1) + BitFlip(count=2),
        Odd(Shape.ROW, (Place(0), Place(2, -math.inf)), BitFlip(count=1) + BitFlip(rate=0.5)),
        Odd(Shape.WORD, flag=False, name='"{}'),
    ],
)
def test_fault_models_come_back(fault):
    text = json.dumps(write(fault), allow_nan=False)
    found = read_fault_model(json.loads(text))
    assert found == fault
    assert type(found) is type(fault)
    assert str(found) == str(fault)
    assert hash(found) == hash(fault)


@pytest.mark.parametrize("known", [Native(), FixedPoint(16, 8)])
def test_formats_come_back(known):
    assert read_format(json.loads(json.dumps(write(known)))) == known


def test_numpy_numbers_become_plain():
    assert encode(np.int64(3)) == 3
    assert type(encode(np.int64(3))) is int
    assert encode(np.float64(0.1)) == 0.1
    assert math.isnan(decode(encode(np.float32("nan")), []))
    assert encode(True) is True


UNKNOWN = {"class": "Gone", "fields": {"rate": 0.5}, "text": "Gone(rate=0.5)"}


def test_what_is_not_there_prints_compares_and_refuses_to_draw():
    found = read_fault_model(UNKNOWN)
    assert str(found) == repr(found) == "Gone(rate=0.5)"
    assert found == read_fault_model({**UNKNOWN, "fields": {}})
    assert found != read_fault_model({**UNKNOWN, "text": "Gone(rate=0.6)"})
    assert {found: 1}[read_fault_model(UNKNOWN)] == 1
    assert write(found) == UNKNOWN
    for use in (lambda: found.parts, lambda: found.expected([]), lambda: found + BitFlip(count=1)):
        with pytest.raises(FaultError, match=r"Gone\(rate=0.5\) was read from a store"):
            use()
    unknown = read_format(UNKNOWN)
    assert (str(unknown), write(unknown)) == ("Gone(rate=0.5)", UNKNOWN)
    with pytest.raises(FaultError, match="no such class"):
        unknown.width(None)
    estimator = read_estimator(UNKNOWN)
    assert (str(estimator), write(estimator)) == ("Gone(rate=0.5)", UNKNOWN)
    with pytest.raises(CampaignError, match="which is biased"):
        estimator.estimate(np.array([0]), np.array([0.0]), 0.95)


@pytest.mark.parametrize(
    "source",
    [
        {"class": "BitFlip", "fields": {"rate": 2.0}, "text": "BitFlip(rate=2.0)"},
        {"class": "BitFlip", "fields": {"speed": 1}, "text": "BitFlip(speed=1)"},
        {"class": "BitFlip", "fields": {"count": 1}, "text": "BitFlip(count=2)"},
        {"class": "Native", "fields": {}, "text": "Native()"},
        {"class": "object", "fields": {}, "text": "object()"},
        {"class": "FaultModel", "fields": {}, "text": "FaultModel()"},
        {"text": "<lambda>"},
        "text",
        None,
        3,
    ],
)
def test_what_cannot_be_is_kept_as_text(source):
    found = read_fault_model(source)
    assert str(found) == show(source)
    assert write(found) == source


def test_only_the_kinds_asked_for_are_made():
    made = []

    @dataclass(frozen=True)
    class Dangerous:
        command: str

        def __post_init__(self):
            made.append(self.command)

    source = {"class": "Dangerous", "fields": {"command": "rm"}, "text": "Dangerous(command='rm')"}
    for kinds in ([FaultModel], [object], []):
        with pytest.raises(UnreadableError):
            decode(source, kinds)
    nested = {**encode(BitFlip(count=1)), "fields": {"count": source}}
    assert str(read_fault_model(nested)) == "BitFlip(count=1)"
    assert made == []


def test_of_two_classes_with_one_name_the_last_defined_is_it():
    def define():
        @dataclass(frozen=True)
        class Twice(Estimator):
            share: float

        return Twice

    first, second = define(), define()
    assert type(read_estimator(write(first(0.5)))) is second


def test_text_for_people():
    assert (
        show([encode(BitFlip(count=1)), encode(Shape.ROW), encode(math.inf)])
        == "BitFlip(count=1), Shape.ROW, inf"
    )
    assert show([]) == "none"
