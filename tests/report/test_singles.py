import pytest

from clipact import faults
from clipact.errors import CampaignError
from clipact.report._singles import single_faults

from .campaigns import NAMES, classified, flip, result_of

FAULT = faults.BitFlip(count=2)


def test_a_row_for_each_trial_with_one_fault_that_did_not_fail():
    trials = [
        classified(0, FAULT, kept=[flip(3, 0.5), flip(4, 0.5)]),
        classified(1, FAULT, sdc=0.5, kept=[flip(30, 0.5, "b")]),
        classified(2, FAULT, kept=[flip(30, 0.5, "a")], error="ValueError: x"),
        classified(3, FAULT, kept=[flip(2, 0.5, "a")]),
        classified(4, FAULT),
    ]
    found = single_faults(result_of(trials, [FAULT]), "sdc")
    assert found.of == 5
    assert found.names == ("a", "b")
    assert found.tensor.tolist() == [1, 0]
    assert found.bit.tolist() == [30, 2]
    assert found.hit.tolist() == [True, False]
    assert found.values.tolist() == [0.5, 0.0]
    assert found.rising.tolist() == [1, 1]


def test_a_trial_that_kept_one_of_several_flips_is_not_single():
    trial = faults.Trial(
        0, FAULT, {"accuracy": 0.9, "sdc": 0.0, "due": 0.0}, 0.1, 2, "00", None, (flip(3, 0.5),)
    )
    with pytest.raises(CampaignError, match="maps need single-fault trials"):
        single_faults(result_of([trial], [FAULT]), "sdc")


def test_names_are_in_natural_order(single):
    assert single_faults(single, "sdc").names == (
        "head.weight",
        "layer2.weight",
        "layer10.weight",
        NAMES[0],
    )


def test_a_tolerance(single):
    assert single_faults(single, "sdc").hit.any()
    assert not single_faults(single, "sdc", tolerance=0.5).hit.any()


def test_without_single_faults_it_says_what_is_missing(rates):
    with pytest.raises(
        CampaignError, match=r"maps need single-fault trials, and none of the 90 trials here"
    ) as error:
        single_faults(rates, "sdc")
    assert "5.0 bits hit on average" in str(error.value)
    assert "BitFlip(count=1)" in str(error.value)


def test_rates_of_groups(single):
    found = single_faults(single, "sdc")
    rates = found.by(found.tensor, 5)
    assert rates.trials[4] == 0
    assert rates.trials.sum() == len(found)
    assert rates.hits.sum() == found.hit.sum() > 0
    interval = rates.interval(0, 0.9)
    hits, trials = int(rates.hits[0]), int(rates.trials[0])
    assert (interval.low, interval.high) == faults.wilson(hits, trials, 0.9)
    assert f"{hits} of {trials} faults" in rates.told(0, 0.9)
    assert rates.interval(4, 0.9).high == 1.0
