import numpy as np
import pytest

from clipact.errors import CampaignError, FaultError
from clipact.faults import BitFlip, FixedPoint, Native, Result, Trial, compare, wilson

LOW, HIGH = BitFlip(rate=1e-6), BitFlip(rate=1e-4)


def result(accuracy, *, seed=0, faults=(LOW,), due=0.0, digest="d", **kwargs):
    trials = tuple(
        Trial(
            n,
            fault,
            {"accuracy": float(a), "sdc": 1.0 - float(a), "due": due if n == 0 else 0.0},
            0.1,
            7,
            f"{digest}{n}",
        )
        for fault in faults
        for n, a in enumerate(accuracy)
    )
    golden = {"accuracy": 1.0, "sdc": 0.0, "due": 0.0}
    about = {"target": "Weights()", "format": Native(), "population": 320, "data": "60 samples"}
    return Result(golden, trials, tuple(faults), len(accuracy), seed, **{**about, **kwargs})


NOISE = np.random.default_rng(0).uniform(0.3, 0.9, 60)


def test_summary_rows():
    row = result(NOISE, due=0.25).summary().rows[0]
    assert (row.fault, row.trials, row.flips) == (LOW, 60, 7.0)
    assert row.means["accuracy"].estimate == pytest.approx(NOISE.mean())
    assert row.means["accuracy"].low < NOISE.mean() < row.means["accuracy"].high
    assert row.means["due"].estimate == pytest.approx(0.25 / 60)
    assert (row.any_trial["due"].low, row.any_trial["due"].high) == wilson(1, 60)
    assert row.any_trial["sdc"].estimate == 1.0


def test_wider_with_more_confidence():
    narrow, wide = (
        result(NOISE).summary(confidence=c).rows[0].means["accuracy"] for c in (0.5, 0.99)
    )
    assert wide.low < narrow.low < narrow.high < wide.high
    with pytest.raises(FaultError):
        result(NOISE).summary(confidence=95)


def test_the_table_says_which_interval_is_which():
    text = str(result(NOISE, faults=(LOW, HIGH)).summary())
    assert "percentile bootstrap over trials" in text
    assert "Wilson" in text
    assert "BitFlip(rate=0.0001)" in text
    assert text.splitlines()[0] == "Weights() in Native(): 320 bits, seed 0"
    assert str(result(NOISE)) == str(result(NOISE).summary())


def test_values_of_what_is_not_there():
    with pytest.raises(CampaignError, match="'loss'; there is accuracy, sdc, due"):
        result(NOISE).values("loss", LOW)
    with pytest.raises(CampaignError, match=r"rate=0\.0001"):
        result(NOISE).values("sdc", HIGH)


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


def test_a_target_in_other_words_with_the_same_faults_is_compared():
    assert compare({"a": result(NOISE), "b": result(NOISE, target="Weights(where=anywhere())")})


def test_refuses_what_cannot_be_compared():
    with pytest.raises(CampaignError, match="at least two"):
        compare({"a": result(NOISE)})
    with pytest.raises(CampaignError, match="baseline='c'"):
        compare({"a": result(NOISE), "b": result(NOISE)}, baseline="c")
    with pytest.raises(CampaignError, match="no metric 'loss'"):
        compare({"a": result(NOISE), "b": result(NOISE)}, metric="loss")


def test_what_the_intervals_do_not_say():
    flat = str(result(np.full(60, 0.5)).summary())
    assert "all 60 trials gave the same value: an effect in fewer than about 3/60" in flat
    assert "9 trials, fewer than 10: intervals are too narrow" in str(result(NOISE[:9]))
    assert "trials" not in str(result(NOISE, due=0.25)).splitlines()[-1].split("Wilson")[-1]


def test_trials_that_are_not_finite_are_counted():
    values = NOISE.copy()
    values[:2], values[2] = np.inf, np.nan
    broken = result(values)
    assert broken.summary().rows[0].not_finite["accuracy"] == 3
    assert "3 of 60 trials not finite" in str(broken)
    found = compare({"a": broken, "b": broken})
    assert np.isnan(found.rows[1].difference.estimate)
