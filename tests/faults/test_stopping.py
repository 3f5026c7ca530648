from itertools import takewhile

import numpy as np
import pytest
from torch import nn

from clipact.errors import CampaignError, FaultError
from clipact.faults import (
    Allocation,
    BitFlip,
    Campaign,
    Precision,
    Shard,
    Stratified,
    Uniform,
    Weights,
)
from clipact.faults._hits import BitSpace
from clipact.faults._numbers._stopping import Watch

ONE = BitFlip(count=1)
SPACES = [BitSpace("a", (40,), 32), BitSpace("b", (300,), 32)]


def sampler_of(trials, sampling=None):
    return (sampling or Uniform()).prepare(ONE, SPACES, 0, trials)


def enough(stop, values, sampler=None, trials=None):
    """How many trials are enough; None if more are needed."""
    sampler = sampler or sampler_of(values.size)
    trials = np.arange(values.size) if trials is None else trials
    found = Watch(stop, sampler).enough(sampler.plan(trials, values), trials, values)
    return None if found is None else found.size


def test_looks_are_regular_then_a_tenth_apart():
    looks = list(takewhile(lambda n: n <= 2000, Precision(minimum=100, every=50).looks()))
    assert looks[:4] == [100, 150, 200, 250]
    assert looks[-3:] == [1577, 1735, 1909]


def test_stops_at_the_second_look_in_a_row_that_is_narrow_enough():
    values = np.tile([0.0, 1.0], 5000)
    stop = Precision(half_width=0.05, minimum=100, every=50)
    # 1.96 * sqrt(.25 / n) <= .05 at about n = 384, so at the looks after 400 and 450 trials
    assert enough(stop, values) == 450
    assert enough(stop, values[:449]) is None
    assert enough(stop, values[:450]) == 450


def test_equal_values_are_not_certain():
    # Wilson's half width of 0 in n is 1.92 / n
    assert 1900 < enough(Precision(half_width=0.001), np.zeros(3000)) < 2600
    assert enough(Precision(half_width=1e-9), np.zeros(2000)) is None


def test_values_that_are_no_shares_and_not_finite():
    values = np.random.default_rng(0).normal(10.0, 2.0, 4000)
    assert 1200 < enough(Precision(half_width=0.1), values) < 2100  # (1.96 * 2 / 0.1) ** 2 = 1537
    values[50] = np.inf
    assert enough(Precision(half_width=0.1), values) is None


@pytest.mark.parametrize("allocation", [None, *Allocation])
def test_does_not_depend_on_what_was_done_first(allocation):
    sampling = None if allocation is None else Stratified(allocation=allocation)
    sampler = sampler_of(3000, sampling)
    stop = Precision(half_width=0.02)

    def outcome(trials):
        return np.isin(trials % 64, (60, 61)).astype(np.float64)  # bit 30

    planned = sampler.plan(np.empty(0, np.int64), np.empty(0))
    planned = sampler.plan(planned, outcome(planned))
    whole = Watch(stop, sampler).enough(planned, planned, outcome(planned))
    assert whole is not None
    generator = np.random.default_rng(1)
    for _ in range(3):
        # everything up to the decision, and whatever else happened to be done, in any order
        rest = np.setdiff1d(planned, whole)
        pilot = sampler.plan(np.empty(0, np.int64), np.empty(0))
        some = np.union1d(generator.choice(rest, 200, replace=False), pilot)
        done = generator.permutation(np.union1d(whole, some))
        now = sampler.plan(done, outcome(done))
        again = Watch(stop, sampler).enough(now, done, outcome(done))
        assert np.array_equal(again, whole)
    # a gap before it: not yet
    gap = np.setdiff1d(planned, whole[-1:])
    assert Watch(stop, sampler).enough(planned, gap, outcome(gap)) is None


@pytest.mark.parametrize("allocation", [None, *Allocation])
def test_trial_by_trial_it_is_the_same(allocation):
    sampling = None if allocation is None else Stratified(allocation=allocation)
    sampler, stop = sampler_of(1500, sampling), Precision(half_width=0.04)
    planned, values = np.empty(0, np.int64), np.empty(0)
    for _ in range(2):
        planned = sampler.plan(planned, values)
        values = np.random.default_rng(3).random(planned.size)
    whole = Watch(stop, sampler).enough(planned, planned, values)
    assert whole is not None
    watch = Watch(stop, sampler)
    for size in range(1, planned.size + 1):
        if not watch.is_due(size):
            continue
        found = watch.enough(planned, planned[:size], values[:size])
        if found is not None:
            break
    assert size == whole.size
    assert np.array_equal(found, whole)


@pytest.mark.parametrize(
    "kwargs", [{"half_width": 0}, {"confidence": 1.0}, {"minimum": 0}, {"every": 1.5}]
)
def test_refuses(kwargs):
    with pytest.raises(FaultError):
        Precision(**kwargs)


def campaign(trials=2000):
    model = nn.Linear(4, 4)

    def evaluate(net):
        return float(net.weight.abs().max() > 10)

    return Campaign(model, evaluate, fault=ONE, target=Weights(), trials=trials)


def test_a_campaign_ends_early_and_always_at_the_same_trial(tmp_path):
    stop = Precision(metric="value", half_width=0.05, minimum=40, every=20)
    runs = campaign()
    whole = runs.run(progress=False).values("value")
    trials = enough(stop, whole)
    assert 40 <= trials < 1000
    assert len(runs.run(progress=False, stop=stop)) == trials
    path = tmp_path / "run.sqlite"
    runs.run(progress=False, stop=stop, seconds=0.0, store=path)
    assert len(runs.run(progress=False, stop=stop, store=path)) == trials
    assert len(runs.run(progress=False, stop=stop, store=path)) == trials


def test_the_pilot_goes_by_its_own_metric():
    model = nn.Linear(16, 16)

    def evaluate(net):
        broken = float(net.weight.abs().max() > 10)
        return {"broken": broken, "other": 1.0 - broken}

    sampling = Stratified(allocation=Allocation.NEYMAN, metric="broken")
    given = {"fault": ONE, "target": Weights(), "trials": 600, "sampling": sampling}
    plain = Campaign(model, evaluate, **given).run(progress=False)
    stop = Precision(metric="other", half_width=1e-6)
    found = Campaign(model, evaluate, **given).run(progress=False, stop=stop)
    assert found.columns.trial.tolist() == plain.columns.trial.tolist()


@pytest.mark.parametrize(
    "given",
    [
        ({}, {"stop": Precision()}),
        ({"sampling": Stratified(allocation=Allocation.NEYMAN)}, {}),
    ],
)
def test_a_metric_that_is_not_there_is_refused(given):
    about, run = given
    model = nn.Linear(4, 4)
    campaign = Campaign(model, lambda net: 1.0, fault=ONE, target=Weights(), **about)
    with pytest.raises(CampaignError, match="by the metric 'sdc', and the evaluation gives value"):
        campaign.run(progress=False, **run)


def test_a_shard_cannot_decide():
    with pytest.raises(CampaignError, match="sees only its own trials"):
        campaign().run(stop=Precision(), shard=Shard(0, 2))
