"""Settings of the wrong type are refused where they are made, all at once, with what they take."""

import numpy as np
import pytest

import clipact as ca
from clipact.methods import (
    AbsoluteSlope,
    BudgetedPercentile,
    ClipToMean,
    ClipToZero,
    Early,
    FaultTuned,
    FitAct,
    FTClipAct,
    ProAct,
    Ranger,
    RelativeSlope,
)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ProAct(slope=20.0), r"ProAct\(slope=20.0\) asked for; slope takes a Slope, for example AbsoluteSlope"),
        (lambda: ProAct(scalar=1e-2), r"scalar takes a Descent, for example Descent\(rate=0.01"),
        (lambda: ProAct(early=False), r"early takes an Early or None, for example Early\("),
        (lambda: ProAct(decays=0.4), r"decays takes a tuple of numbers, for example \(0.4,"),
        (lambda: ProAct(decays=("0.4",)), "decays takes a tuple of numbers"),
        (lambda: ProAct(teacher=3, checkpoint=4), "teacher takes a Module or None; checkpoint takes a Path or a string or None"),
        (lambda: FitAct(descent=1e-3), r"FitAct\(descent=0.001\) asked for; descent takes a Descent"),
        (lambda: FTClipAct(rates=np.array(1e-3)), "rates takes a tuple of numbers"),
        (lambda: FTClipAct(target=3), r"target takes a Target, for example Weights\(\) \| Biases\(\)$"),
        (lambda: FTClipAct(target=3, format="int8"), r"\(target=3, format='int8'\) .*; format takes a Format, for example FixedPoint"),
        (lambda: FTClipAct(samples=1.5), "samples takes a whole number or None"),
        (lambda: FTClipAct(samples=200.0), "samples takes a whole number or None"),
        (lambda: FaultTuned(passes=1.5), "passes takes a whole number, for example 1"),
        (lambda: FaultTuned(trials=True), "trials takes a whole number"),
        (lambda: BudgetedPercentile(budget="1%"), "budget takes a number, for example 0.005"),
        (lambda: BudgetedPercentile(by_site="no"), "by_site takes True or False"),
        (lambda: ClipToZero(granularity=2), "granularity takes a Granularity or a string, for example 'layer'"),
        (lambda: ClipToMean(percentile=None), "percentile takes a number"),
        (lambda: Ranger(channel_dim="1"), "channel_dim takes a whole number or None"),
        (lambda: AbsoluteSlope("20"), "slope takes a number"),
        (lambda: RelativeSlope(end=None), "end takes a number"),
        (lambda: Early(hopeless=0.5), "hopeless takes True or False"),
    ],
)  # fmt: skip
def test_refused_when_it_is_made(make, words):
    with pytest.raises(TypeError, match=words):
        make()


def test_numbers_of_numpy_and_lists_of_them_are_numbers():
    method = FTClipAct(
        rates=np.array([1e-4, 1e-3]),
        trials=np.int64(2),
        points=np.int64(4),
        rounds=np.int32(3),
        least_rounds=np.int64(1),
        delta=1,
    )
    assert list(method.rates) == [1e-4, 1e-3]
    assert FaultTuned(rates=[1e-3], lost=np.float32(0.25)).lost == 0.25
    assert ProAct(granularity="channel", last=ca.Granularity.LAYER, tolerance=0).tolerance == 0
