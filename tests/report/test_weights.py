"""Trials that were sampled unevenly are weighed as they stand for the faults there are."""

import re
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from clipact import faults
from clipact.report import campaign_page, estimate_so_far, outcomes, vulnerability_by_tensor
from clipact.report._singles import single_faults
from clipact.report._trials import Outcome, trials_of
from clipact.report._weights import share, trial_weights, wilson_share

from .campaigns import classified, flip, result_of

COUNT = faults.BitFlip(count=1)


@dataclass(frozen=True)
class Strata:
    """Two strata that take turns; the first holds nine tenths of the faults."""

    def estimate(self, trials, values, confidence):
        means = [
            values[trials % 2 == s].mean() if (trials % 2 == s).any() else np.nan for s in (0, 1)
        ]
        mean = 0.9 * means[0] + 0.1 * means[1]
        return faults.Interval(mean, mean - 0.05, mean + 0.05)


@pytest.fixture(scope="module")
def uneven():
    """Bit 3 (even trials) never hurts and bit 30 (odd trials) always does; both tensors get half of either."""
    trials = [
        classified(
            n, COUNT, sdc=float(n % 2), kept=[flip(30 if n % 2 else 3, 0.5, "ab"[n // 2 % 2])]
        )
        for n in range(80)
    ]
    plain = result_of(trials, [COUNT])
    return faults.Result.of(
        trials, golden=plain.golden, faults=[COUNT], trials_per_fault=80, seed=0, target="Weights()", format=plain.format,
        population=100, sampling="in two strata", estimators={COUNT: Strata()},
    )  # fmt: skip


def test_weights_are_those_of_the_estimator(uneven):
    trials = np.arange(80)
    found = trial_weights(Strata(), trials, trials % 4)
    assert found.sum() == pytest.approx(1)
    assert found[::2] == pytest.approx(0.9 / 40)
    assert found[1::2] == pytest.approx(0.1 / 40)


def test_rates_of_tensors_are_weighted_and_those_of_bits_need_no_weights(uneven):
    singles = single_faults(uneven, "sdc")
    by_tensor = singles.by(singles.tensor, 2)
    assert by_tensor.share == pytest.approx([0.1, 0.1])  # not one half
    assert by_tensor.mean == pytest.approx([0.1, 0.1])
    assert (by_tensor.effective < 40).all()
    assert by_tensor.of_all == pytest.approx([0.5, 0.5])
    interval = by_tensor.interval(0, 0.95)
    assert interval.low < 0.1 < interval.high
    by_bit = singles.by(singles.bit, 31)
    assert by_bit.share[[3, 30]] == pytest.approx([0, 1])
    assert by_bit.effective[[3, 30]] == pytest.approx([40, 40])
    assert "80 trials with one fault, weighted as they were sampled" in str(singles)
    (axes,) = vulnerability_by_tensor(uneven).axes
    assert axes.patches[0].get_width() == pytest.approx(10)


def test_outcomes_and_estimates_are_weighted(uneven):
    trials = trials_of(uneven, COUNT)
    found = trials.share(trials.outcomes()[Outcome.SDC], 0.95)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.1, 0.05, 0.15))
    (axes,) = outcomes(uneven).axes
    assert "95 % interval, weighted; n = 80" in axes.get_xlabel()
    (axes,) = estimate_so_far(uneven).axes
    assert axes.lines[0].get_ydata()[-1] == pytest.approx(10)


def test_ends_of_shares_stay_shares():
    found = share(Strata(), np.arange(4), np.zeros(4, bool), 0.95)
    assert (found.low, found.high) == (0.0, 0.05)
    assert wilson_share(0.5, 0.0, 0.95).high == 1.0


def test_a_page_of_a_stratified_campaign(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    inputs = torch.randn(20, 8)
    campaign = faults.Campaign(
        model, faults.Classification([(inputs, model(inputs).argmax(1))]), fault=COUNT, target=faults.Weights(), trials=160,
        sampling=faults.Stratified(),
    )  # fmt: skip
    result = campaign.run(progress=False)
    text = campaign_page(result, tmp_path / "page.html").read_text()
    assert "stratified" in text
    assert text.count("<svg") == 7
    mean = result.summary().rows[0].means["sdc"].estimate
    assert re.search(rf">{100 * mean:.1f} %<", text)
