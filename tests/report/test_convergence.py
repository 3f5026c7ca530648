import numpy as np
import pytest

from clipact import faults
from clipact.errors import CampaignError
from clipact.report import estimate_so_far, interval_width
from clipact.report._convergence import path

from .campaigns import result_of

FAULT = faults.BitFlip(rate=0.1)


def of_values(values, golden=0.0):
    trials = [faults.Trial(n, FAULT, {"m": v}, 0.1, 1, "00") for n, v in enumerate(values)]
    return result_of(trials, [FAULT], golden={"m": golden})


def test_of_zeros_and_ones_the_interval_is_wilsons():
    values = (np.random.default_rng(0).random(500) < 0.03).astype(float)
    found = path(values, 0.0, 0.9)
    assert found.n[-1] == 500
    for place in (0, len(found.n) // 2, -1):
        n = int(found.n[place])
        low, high = faults.wilson(int(values[:n].sum()), n, 0.9)
        assert found.mean[place] == pytest.approx(values[:n].mean())
        assert (found.low[place], found.high[place]) == pytest.approx((low, high), abs=1e-12)


def test_of_other_numbers_it_is_the_normal_one():
    values = np.random.default_rng(0).normal(1e6, 3.0, 200)
    found = path(values, 1e6, 0.95)
    half = 1.959964 * values.std(ddof=1) / np.sqrt(200)
    assert found.high[-1] - found.mean[-1] == pytest.approx(half, rel=1e-4)
    assert found.mean[-1] == pytest.approx(values.mean())


def test_curves_end_at_the_estimate(rates):
    (axes,) = estimate_so_far(rates).axes
    for fault, line in zip(rates.faults, axes.lines, strict=True):
        assert line.get_label() == str(fault)
        assert line.get_ydata()[-1] == pytest.approx(100 * rates.values("sdc", fault).mean())
        assert line.get_xdata()[-1] == 30
    assert axes.get_xlabel() == "trials so far; n = 30 for each fault model"
    assert axes.get_ylabel() == "mean sdc (%), 95 % interval"


def test_the_width_meets_the_margin():
    result = of_values([float(n % 2) for n in range(1000)])
    (axes,) = interval_width(result, metric="m", margin=0.05).axes
    curve, aim = axes.lines
    assert set(aim.get_ydata()) == {5.0}
    assert curve.get_ydata()[-1] == pytest.approx(100 * 0.98 / np.sqrt(1000), rel=0.01)
    assert (curve.get_xdata()[0], curve.get_xdata()[-1]) == (10, 1000)
    assert axes.get_legend() is not None
    assert interval_width(result, metric="m").axes[0].get_legend() is None


def test_numbers_that_are_not_finite_are_left_out():
    (axes,) = estimate_so_far(of_values([1.5, np.nan, 2.5]), metric="m").axes
    assert axes.lines[0].get_ydata().tolist() == [2.0]
    assert axes.get_ylabel() == "mean m, 95 % interval"


def test_what_cannot_be_drawn(single):
    with pytest.raises(CampaignError, match="no fault model has two trials in which m is finite"):
        estimate_so_far(of_values([np.nan, 1.0]), metric="m")
    with pytest.raises(CampaignError, match="no metric 'f1'"):
        interval_width(single, metric="f1")
