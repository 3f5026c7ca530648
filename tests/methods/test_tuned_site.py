import math

import pytest
import torch
from torch import nn

import clipact as ca
from clipact import faults
from clipact.methods._search._accuracy import held_out
from clipact.methods._search._severity import harmful_rate
from clipact.methods._search._trials import Cell, FaultPlan, FaultyAccuracy
from clipact.methods._search._tuned_site import Setting, TunedSite


@pytest.fixture
def site():
    torch.manual_seed(0)
    model, batch = nn.Sequential(nn.Linear(4, 3), nn.GELU()), torch.randn(64, 4)
    profile = ca.calibrate(model, batch)["1"]
    low, high = profile.minimum("channel"), profile.maximum("channel")
    module = ca.nn.Mended(nn.GELU(), low, high, 0.0)
    module.fill.data = torch.zeros(3)
    return TunedSite("1", module, profile, ca.Granularity.CHANNEL), module, profile


def test_range_and_fill_are_those_of_the_profile_however_often_they_are_set(site):
    tuned, module, profile = site
    for setting in (
        Setting(0.5, mean=True),
        Setting(math.inf, mean=False),
        Setting(0.7, mean=True),
    ):
        tuned.set(setting)
    assert tuned.setting == Setting(0.7, mean=True)
    assert torch.equal(module.low, 0.7 * profile.minimum("channel"))
    assert torch.equal(module.high, 0.7 * profile.maximum("channel"))
    assert torch.equal(module.fill, profile.mean("channel"))
    tuned.set(Setting(1.0, mean=False))
    assert torch.equal(module.high, profile.maximum("channel"))
    assert not module.fill.any()


def test_a_site_that_restricts_nothing_still_mends_nan(site):
    tuned, module, _ = site
    tuned.set(Setting(math.inf, mean=False))
    found = module(torch.tensor([[1e30, 2.0, math.nan]]))
    assert found.tolist() == [[pytest.approx(1e30), pytest.approx(1.9545, rel=1e-3), 0.0]]


def test_the_rate_that_hurts_is_the_first_of_its_series():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 32), ca.nn.ZeroedReLU(9.0), nn.Linear(32, 4)).eval()
    images = torch.randn(200, 6)
    labels = model(images).argmax(1)
    accuracy = held_out(model, images, [(images, labels)], "test")
    plan = FaultPlan((1.0,), 5, 0, faults.Weights(), faults.FixedPoint(32, 16))
    rate = harmful_rate(model, accuracy, plan, lost=0.3)

    def mean(rate):
        here = FaultPlan((rate,), 5, 0, faults.Weights(), faults.FixedPoint(32, 16))
        faulty = FaultyAccuracy(model, accuracy, here, lambda: None)
        return sum(faulty.correct(Cell(rate, trial)) for trial in range(5)) / (5 * 200)

    assert mean(rate) <= 0.72  # the rate is rounded to two digits
    assert mean(rate / 1.5) > 0.68
