import math

import pytest

from clipact.errors import FaultError
from clipact.faults import plan, sample_size


def test_trials_are_those_of_sample_size():
    found = plan(10**6, margins=[0.05, 0.01], confidences=[0.9, 0.99], p=0.1)
    assert [(row.margin, row.confidence) for row in found.trials] == [
        (0.05, 0.9), (0.05, 0.99), (0.01, 0.9), (0.01, 0.99),
    ]  # fmt: skip
    for row in found.trials:
        expected = sample_size(10**6, margin=row.margin, confidence=row.confidence, p=0.1)
        assert row.trials == expected


def test_time_is_shared_among_workers():
    (row,) = plan(10**9, margins=[0.01], confidences=[0.95], seconds_per_trial=2, workers=4).trials
    assert row.trials == 9604
    assert row.seconds == 2401 * 2
    assert math.isnan(plan(10**9).trials[0].seconds)


def test_rates_that_hardly_hit():
    found = plan(320_000)
    by_rate = {row.rate: row for row in found.rates}
    assert by_rate[1e-5].flips == pytest.approx(3.2)
    assert by_rate[1e-5].untouched == pytest.approx(math.exp(-3.2), rel=1e-4)
    assert [row.rate for row in found.rates if row.hardly_hits] == [1e-9, 1e-8]


def test_prints_tables_with_time_only_where_it_is_known():
    shown = str(plan(10**6, seconds_per_trial=0.1))
    assert "1,000,000 bits" in shown
    assert "15 min 51 s" in shown
    assert "time" not in str(plan(10**6))
    assert shown.count("hardly hits") == 1
    assert "e-42" not in shown


@pytest.mark.parametrize(
    "kwargs",
    [
        {"population": 0},
        {"population": 10, "margins": [0.0]},
        {"population": 10, "confidences": [95]},
        {"population": 10, "seconds_per_trial": 0},
        {"population": 10, "workers": 0},
        {"population": 10, "workers": 1.5},
    ],
)
def test_refuses(kwargs):
    with pytest.raises(FaultError):
        plan(**kwargs)
