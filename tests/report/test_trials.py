import numpy as np
import pytest

from clipact import faults
from clipact.errors import CampaignError
from clipact.report._trials import (
    Outcome,
    check_metric,
    differs,
    event,
    is_share,
    trials_of,
    within,
)

from .campaigns import classified, result_of

FAULT = faults.BitFlip(rate=0.1)


def counts(outcomes):
    return {outcome: int(hit.sum()) for outcome, hit in outcomes.items()}


def test_each_trial_counts_as_the_worst_that_happened():
    trials = [
        classified(0, FAULT),
        classified(1, FAULT, sdc=0.5),
        classified(2, FAULT, sdc=0.5, due=0.1),
        classified(3, FAULT, due=0.1),
        classified(4, FAULT, error="Traceback\nValueError: x"),
        faults.Trial(5, FAULT, {"accuracy": 0.8, "sdc": 0.0, "due": 0.0}, 0.1, 1, "00"),
    ]
    found = trials_of(result_of(trials, [FAULT]), FAULT).outcomes()
    assert counts(found) == {
        Outcome.FAILED: 1,
        Outcome.DUE: 2,
        Outcome.SDC: 1,
        Outcome.CHANGED: 1,
        Outcome.MASKED: 1,
    }


def test_only_what_was_measured_or_happened_is_an_outcome():
    quiet = trials_of(result_of([classified(0, FAULT)], [FAULT]), FAULT).outcomes()
    assert list(quiet) == [Outcome.DUE, Outcome.SDC, Outcome.MASKED]
    trials = [faults.Trial(n, FAULT, {"loss": float(n)}, 0.1, 1, "00") for n in range(3)]
    found = trials_of(result_of(trials, [FAULT], golden={"loss": 0.0}), FAULT).outcomes()
    assert counts(found) == {Outcome.CHANGED: 2, Outcome.MASKED: 1}


def test_what_is_off_the_golden_value():
    values = np.array([1.0, 1.05, 0.9, np.nan, np.inf])
    assert differs(values, 1.0, 0.0).tolist() == [False, True, True, True, True]
    assert differs(values, 1.0, 0.07).tolist() == [False, False, True, True, True]
    assert differs(values, np.nan, 0.0).tolist() == [True, True, True, False, True]
    assert differs(values, np.inf, 0.5).tolist() == [True, True, True, True, False]


def test_trials_that_failed_did_not_change_a_metric():
    trials = [classified(0, FAULT, error="ValueError: x"), classified(1, FAULT, sdc=1.0)]
    found = trials_of(result_of(trials, [FAULT]), FAULT)
    assert found.failed.tolist() == [True, False]
    assert found.changed("sdc").tolist() == [False, True]


def test_words(single):
    assert event("due") == "NaN or Inf in an output (DUE)"
    assert event("loss") == "another loss"
    with pytest.raises(CampaignError, match="no metric 'f1'; it has accuracy, sdc, due"):
        check_metric(single, "f1")


def test_the_ends_of_shares_are_shares(single):
    assert is_share(single, "sdc")
    wide = faults.Interval(0.1, -0.2, 1.3)
    assert within(wide, share=True) == faults.Interval(0.1, 0.0, 1.0)
    assert within(wide, share=False) == wide
    trials = [faults.Trial(n, FAULT, {"loss": 0.5 + n}, 0.1, 1, "00") for n in range(2)]
    assert not is_share(result_of(trials, [FAULT], golden={"loss": 0.5}), "loss")
