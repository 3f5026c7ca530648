"""Schedules: values, ends, equality, print, and what is refused."""

import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipact.errors import ScheduleError
from clipact.schedules import Schedule, constant, cosine, exponential, join, linear

RAMPS = [linear, cosine, exponential]
POSITIVE = st.floats(1e-6, 1e6)


@pytest.mark.parametrize("ramp", RAMPS)
@given(start=POSITIVE, end=POSITIVE, steps=st.integers(1, 1000))
def test_a_ramp_starts_and_ends_exactly_and_stays_between(ramp, start, end, steps):
    schedule = ramp(start, end, steps)
    assert schedule(0) == schedule(-1) == start
    assert schedule(steps) == schedule(steps + 1) == schedule(10**9) == end
    low, high = sorted((start, end))
    values = [schedule(step) for step in range(0, steps + 1, max(1, steps // 20))]
    assert all(low * (1 - 1e-12) <= value <= high * (1 + 1e-12) for value in values)
    assert values == sorted(values, reverse=end < start) or math.isclose(start, end)


def test_the_formulas():
    assert linear(2.0, 4.0, 10)(3) == pytest.approx(2.6)
    assert cosine(2.0, 4.0, 10)(3) == pytest.approx(4 - 2 * (1 + math.cos(0.3 * math.pi)) / 2)
    assert exponential(2.0, 4.0, 10)(3) == pytest.approx(2 * 2**0.3)
    assert exponential(-1.0, -100.0, 2)(1) == pytest.approx(-10)
    assert constant(math.inf)(7) == math.inf


def test_join_counts_each_from_its_boundary():
    schedule = join([linear(0.0, 1.0, 2), constant(5.0), linear(1.0, 0.0, 4)], [2, 4])
    assert [schedule(step) for step in range(9)] == [0, 0.5, 5, 5, 1, 0.75, 0.5, 0.25, 0]


def test_join_takes_any_function_and_other_joins():
    inner = join([constant(1.0), constant(2.0)], [3])
    schedule = join([float, inner], [2])
    assert [schedule(step) for step in range(7)] == [0, 1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("schedule", "printed"),
    [
        (constant(6), "constant(6.0)"),
        (linear(1, 0, 5), "linear(1.0, 0.0, 5)"),
        (cosine(1, 0, steps=5), "cosine(1.0, 0.0, 5)"),
        (exponential(1, 2, 5), "exponential(1.0, 2.0, 5)"),
        (
            join([constant(1), linear(1, 0, 5)], [2]),
            "join((constant(1.0), linear(1.0, 0.0, 5)), (2,))",
        ),
    ],
)
def test_a_schedule_prints_as_its_call_and_equals_what_it_prints(schedule, printed):
    assert repr(schedule) == printed
    again = eval(printed)
    assert again == schedule
    assert hash(again) == hash(schedule)
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert isinstance(schedule, Schedule)


def test_schedules_of_another_kind_or_value_differ():
    assert linear(1, 0, 5) != cosine(1, 0, 5)
    assert linear(1, 0, 5) != linear(1, 0, 6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: constant(math.nan), "constant.* NaN"),
        (lambda: linear(math.nan, 1, 5), "linear.* start=nan"),
        (lambda: cosine(0, math.inf, 5), "cosine.* end=inf"),
        (lambda: linear(0, 1, 0), "linear.* steps=0"),
        (lambda: linear(0, 1, 2.5), r"linear.* steps=2\.5"),
        (lambda: linear(0, 1, math.inf), "linear.* steps=inf"),
        (lambda: exponential(1, 0, 5), r"from 1\.0 to 0\.0"),
        (lambda: exponential(-1, 1, 5), r"from -1\.0 to 1\.0"),
        (lambda: exponential(0, 1, 5), r"from 0\.0 to 1\.0"),
        (lambda: exponential(1e-200, 1e200, 5), "from 1e-200 to 1e\\+200"),
        (lambda: join([constant(1)], [3]), "1 schedules and 1 boundaries"),
        (lambda: join([], []), "0 schedules"),
        (lambda: join([constant(1)] * 3, [5, 5]), r"boundaries \[5, 5\]"),
        (lambda: join([constant(1)] * 2, [0]), r"boundaries \[0\]"),
        (lambda: join([constant(1)] * 2, [1.5]), r"boundaries \[1\.5\]"),
    ],
)
def test_what_has_no_meaning_is_refused_at_once(make, message):
    with pytest.raises(ScheduleError, match=message):
        make()
