import numpy as np
import pytest

from clipact.errors import CampaignError, FaultError
from clipact.faults import BitFlip, Interval, Native, Result, Trial, wilson

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


def test_what_the_intervals_do_not_say():
    flat = str(result(np.full(60, 0.5)).summary())
    assert "all 60 trials gave the same value: an effect in fewer than about 3/60" in flat
    assert "9 trials, fewer than 10: intervals are too narrow" in str(result(NOISE[:9]))
    assert "trials" not in str(result(NOISE, due=0.25)).splitlines()[-1].split("Wilson")[-1]


def test_failed_trials_are_left_out_counted_and_the_first_is_shown():
    shown = result(NOISE, failed=(4, 9), faults=(LOW, HIGH)).summary()
    row = shown.rows[1]
    assert (row.trials, row.failed, row.error) == (58, 2, "ValueError: bad luck 4")
    kept = [n for n in range(60) if n not in {4, 9}]
    assert row.means["accuracy"].estimate == pytest.approx(NOISE[kept].mean())
    assert row.any_trial["sdc"].estimate == 1.0
    assert row.not_finite == {"accuracy": 0, "sdc": 0, "due": 0}
    assert (
        "2 of 60 trials of BitFlip(rate=0.0001) failed and are left out; the first with ValueError: bad luck 4"
        in str(shown)
    )


def test_when_every_trial_failed_nothing_is_known():
    row = result(NOISE[:2], failed=(0, 1)).summary().rows[0]
    assert (row.trials, row.failed) == (0, 2)
    assert all(np.isnan(i.estimate) for i in (*row.means.values(), *row.any_trial.values()))
    assert "nan" in str(result(NOISE[:2], failed=(0, 1)))


class Half:
    """Counts the lower half of the numbers only."""

    def estimate(self, trials, values, confidence):
        mean = values[trials < 30].mean()
        return Interval(mean, mean - confidence, mean + confidence)


def test_an_estimator_takes_the_place_of_the_mean():
    found = result(NOISE, failed=(1,), faults=(LOW, HIGH), estimators={LOW: Half()}, sampling="odd")
    weighed, plain = found.summary(confidence=0.9).rows
    expected = np.delete(NOISE[:30], 1).mean()
    assert weighed.means["accuracy"] == Interval(expected, expected - 0.9, expected + 0.9)
    assert weighed.any_trial["sdc"] == Interval(1.0, 1.0 - 0.9, 1.0 + 0.9)
    assert (weighed.weighted, plain.weighted) == (True, False)
    assert plain.means["accuracy"].estimate == pytest.approx(np.delete(NOISE, 1).mean())
    assert "weighted as they were sampled" in str(found)
    assert "odd sampling" in str(found).splitlines()[0]
    assert not result(NOISE).summary(estimators={HIGH: Half()}).rows[0].weighted
    assert result(NOISE).summary(estimators={LOW: Half()}).rows[0].weighted


def test_many_different_values_have_a_normal_interval():
    many = np.random.default_rng(0).uniform(0.3, 0.9, 5000)
    found = result(many)
    interval = found.summary().rows[0].means["accuracy"]
    half = 1.96 * many.std() / np.sqrt(5000)
    assert interval.estimate == pytest.approx(many.mean())
    assert interval.high - interval.low == pytest.approx(2 * half, rel=1e-3)
    assert "normal where more than 1,000 values differ" in str(found)
    with pytest.raises(FaultError, match="confidence"):
        found.summary(confidence=1.5)
