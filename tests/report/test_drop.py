import numpy as np
import pytest

from clipact import faults
from clipact.errors import CampaignError
from clipact.report import metric_drop

from .campaigns import classified, result_of

FAULT = faults.BitFlip(rate=0.1)


def of_values(values, golden):
    trials = [faults.Trial(n, FAULT, {"m": v}, 0.1, 1, "00") for n, v in enumerate(values)]
    return metric_drop(result_of(trials, [FAULT], golden={"m": golden}), metric="m").axes[0]


def test_the_histogram_holds_every_trial():
    axes = of_values([0.9] * 90 + [0.4] * 9 + [0.95], 0.9)
    values, edges, _ = axes.patches[0].get_data()
    assert values.sum() == pytest.approx(100)
    assert values[np.searchsorted(edges, 0.0) - 1] == pytest.approx(
        90
    )  # no fall, in the middle of a bin
    assert values[np.searchsorted(edges, 50.0) - 1] == pytest.approx(9)
    assert edges[0] < -5 < 50 < edges[-1]
    assert axes.get_xlabel() == "fall of m (percentage points); n = 100 trials"
    assert axes.get_title(loc="left") == "How far m falls below the golden run's 90 %"
    assert axes.get_yscale() == "log"


def test_other_metrics_stay_in_their_own_unit():
    axes = of_values([3.0, 5.0, 10.0], 5.0)
    assert axes.get_xlabel() == "fall of m; n = 3 trials"
    assert axes.patches[0].get_data().edges[0] <= -5.0


def test_values_that_are_not_finite_and_failures_are_counted():
    axes = of_values([0.9, np.nan, np.inf], 0.9)
    assert axes.get_xlabel().endswith("n = 1 trials, 2 not finite left out")
    with pytest.raises(CampaignError, match="m is not finite in any of 2 trials"):
        of_values([np.nan, np.inf], 0.9)


def test_of_several_fault_models_the_share_that_falls_at_least_so_far(rates):
    axes = metric_drop(rates).axes[0]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == [str(f) for f in rates.faults]
    for fault, line in zip(rates.faults, axes.lines, strict=False):
        fall = 90 - 100 * rates.values("accuracy", fault)
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True):
            assert y >= 100 * np.mean(fall > x + 1e-9)
        assert line.get_ydata()[0] == 100
        assert line.get_xdata()[-1] == pytest.approx(fall.max())


def test_nothing_falls():
    result = result_of([classified(n, FAULT) for n in range(5)], [FAULT])
    values = metric_drop(result).axes[0].patches[0].get_data().values
    assert values.max() == 100
