import numpy as np
import pytest

from clipact.errors import CampaignError
from clipact.faults import BitFlip, FixedPoint, Interval, Native, Result, Trial, compare

LOW, HIGH = BitFlip(rate=1e-6), BitFlip(rate=1e-4)


def result(
    accuracy, *, seed=0, faults=(LOW,), due=0.0, digest="d", failed=(), asked=None, **kwargs
):
    trials = [
        Trial(
            n,
            fault,
            {"accuracy": float(a), "sdc": 1.0 - float(a), "due": due if n == 0 else 0.0},
            0.1,
            7,
            f"{digest}{n}",
        )
        if n not in failed
        else Trial(
            n, fault, {}, 0.1, 7, f"{digest}{n}", error=f"Traceback …\nValueError: bad luck {n}\n"
        )
        for fault in faults
        for n, a in enumerate(accuracy)
    ]
    golden = {"accuracy": 1.0, "sdc": 0.0, "due": 0.0}
    about = {"target": "Weights()", "format": Native(), "population": 320, "data": "60 samples"}
    given = {
        "golden": golden,
        "faults": faults,
        "trials_per_fault": asked or len(accuracy),
        "seed": seed,
    }
    return Result.of(trials, **given, **{**about, **kwargs})


NOISE = np.random.default_rng(0).uniform(0.3, 0.9, 60)


def test_pairs_know_a_small_difference():
    better = np.clip(NOISE + 0.02 + np.random.default_rng(1).normal(0, 0.01, 60), 0, 1)
    plain, safe = result(NOISE), result(better)
    found = compare({"ReLU": plain, "ProAct": safe}).rows
    assert [row.name for row in found] == ["ReLU", "ProAct"]
    assert found[0].difference.estimate == 0.0
    difference = found[1].difference
    assert difference.estimate == pytest.approx((better - NOISE).mean())
    assert 0.015 < difference.low < difference.high < 0.025
    # unpaired, the two intervals overlap
    a, b = (r.summary().rows[0].means["accuracy"] for r in (plain, safe))
    assert b.low < a.high


def test_any_baseline_and_metric():
    worse = result(NOISE - 0.1)
    found = compare({"a": result(NOISE), "b": worse}, baseline="b", metric="sdc")
    assert found.rows[0].difference.estimate == pytest.approx(-0.1)
    assert "minus b" in str(found)
    assert "bootstrap over paired trials" in str(found)


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (result(NOISE, seed=1), "their seed: 0 and 1"),
        (result(NOISE[:30]), "their number of trials: 60 and 30"),
        (result(NOISE, faults=(HIGH,)), "their fault models"),
        (
            result(NOISE, format=FixedPoint(16, 8)),
            r"their number format: Native\(\) and FixedPoint",
        ),
        (result(NOISE, data="50 samples"), "their data: 60 samples and 50 samples"),
        (result(NOISE, target="Biases()", digest="e"), r"their target: Weights\(\) and Biases"),
        (result(NOISE, population=640), "number of bits of the target: 320 and 640"),
        (result(NOISE, digest="e"), "faults in trial 0 of BitFlip.*: 7 flips d0 and 7 flips e0"),
    ],
)
def test_refuses_what_did_not_meet_the_same_faults(other, difference):
    with pytest.raises(CampaignError, match=difference):
        compare({"a": result(NOISE), "b": other})


@pytest.mark.parametrize(
    "other",
    [
        result(NOISE + 0.01, target="Weights() | Thresholds()", population=640, digest="e"),
        result(NOISE + 0.01, digest="e"),
    ],
)
def test_trials_with_other_faults_are_paired_by_number_on_demand(other):
    with pytest.raises(CampaignError, match="same_faults=False"):
        compare({"a": result(NOISE), "b": other})
    found = compare({"a": result(NOISE), "b": other}, same_faults=False)
    assert found.rows[1].pairs == 60
    assert found.rows[1].difference.estimate == pytest.approx(0.01)
    assert "not all faults the same" in str(found)
    with pytest.raises(CampaignError, match="their seed: 0 and 1"):
        compare({"a": result(NOISE), "b": result(NOISE, seed=1)}, same_faults=False)


def test_weighted_trials_are_not_paired_by_number():
    weighted = result(NOISE, sampling="stratified", estimators={LOW: object()})
    with pytest.raises(CampaignError, match="sample uniformly"):
        compare({"a": weighted, "b": weighted}, same_faults=False)


def test_a_target_in_other_words_with_the_same_faults_is_compared():
    assert compare({"a": result(NOISE), "b": result(NOISE, target="Weights(where=anywhere())")})


def test_refuses_what_cannot_be_compared():
    with pytest.raises(CampaignError, match="at least two"):
        compare({"a": result(NOISE)})
    with pytest.raises(CampaignError, match="baseline='c'"):
        compare({"a": result(NOISE), "b": result(NOISE)}, baseline="c")
    with pytest.raises(CampaignError, match="no metric 'loss'"):
        compare({"a": result(NOISE), "b": result(NOISE)}, metric="loss")


def test_trials_that_are_not_finite_are_counted():
    values = NOISE.copy()
    values[:2], values[2] = np.inf, np.nan
    broken = result(values)
    assert broken.summary().rows[0].not_finite["accuracy"] == 3
    assert "3 of 60 trials not finite" in str(broken)
    found = compare({"a": broken, "b": broken})
    assert np.isnan(found.rows[1].difference.estimate)


def test_a_pair_of_which_either_failed_is_left_out_and_counted():
    better = NOISE + 0.01
    found = compare(
        {"a": result(NOISE, failed=(3, 5)), "b": result(better, failed=(5, 9)), "c": result(better)}
    )
    assert [(row.pairs, row.failed) for row in found.rows] == [(58, 2), (57, 3), (58, 2)]
    kept = [n for n in range(60) if n not in {3, 5, 9}]
    assert found.rows[1].mean == pytest.approx(better[kept].mean())
    assert found.rows[1].difference.estimate == pytest.approx(0.01)
    assert "3 of 60 pairs of b and a under BitFlip(rate=1e-06) left out" in str(found)
    assert "of a and a" not in str(found)


def test_trials_that_only_one_campaign_did_are_left_out_and_counted():
    stopped = result(NOISE[:40], asked=60)
    found = compare({"a": result(NOISE), "b": stopped})
    assert (found.rows[1].pairs, found.rows[1].alone) == (40, 20)
    assert found.rows[1].difference.estimate == 0.0
    assert "20 trials of b and a under BitFlip(rate=1e-06) left out" in str(found)


def test_a_failed_trial_without_digest_does_not_unpair():
    one, two = result(NOISE, failed=(0,), digest=""), result(NOISE, digest="")
    assert compare({"a": one, "b": two}).rows[1].pairs == 59


@pytest.mark.parametrize("about", [{"sampling": "by layer"}, {"lifetime": "batch"}])
def test_other_sampling_or_lifetime_is_refused(about):
    with pytest.raises(CampaignError, match=f"{next(iter(about))}.*{next(iter(about.values()))}"):
        compare({"a": result(NOISE), "b": result(NOISE, **about)})


class Last:
    """Counts only the last trial."""

    def estimate(self, trials, values, confidence):
        assert trials.size == values.size
        return Interval(values[-1], values[-1] - 1, values[-1] + 1)


def test_pairs_are_weighted_as_they_were_sampled():
    weigh = {"sampling": "odd", "estimators": {LOW: Last()}}
    better = NOISE + np.arange(60)
    found = compare({"a": result(NOISE, **weigh), "b": result(better, **weigh)})
    assert found.rows[1].difference.estimate == pytest.approx(59.0)
    assert found.rows[1].mean == pytest.approx(better[-1])
    assert "weighted as they were sampled" in str(found)


def test_no_trial_in_common():
    found = compare({"a": result(NOISE[:1], failed=(0,)), "b": result(NOISE[:1])})
    assert np.isnan(found.rows[1].difference.estimate)
    assert found.rows[1].pairs == 0
