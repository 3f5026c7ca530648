"""Sizes of tasks."""

from clipact.faults import BitFlip, Trial
from clipact.faults._running._pace import Pace
from clipact.faults._running._spec import Outcome


def test_tasks_of_two_seconds():
    pace = Pace(0.1)
    assert pace.size == 20
    trial = Trial(0, BitFlip(count=1), {}, seconds=0.5, flips=1, digest="")
    for _ in range(20):
        pace.add(Outcome((trial,)))
    assert pace.size == 4


def test_at_least_one_and_not_too_many():
    assert Pace(100.0).size == 1
    assert Pace(0.0).size == 1000
