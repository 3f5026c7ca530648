import numpy as np
import pytest
from torch import nn

from clipact.errors import CampaignError, FaultError
from clipact.faults import BitFlip, Campaign, Precision, Shard, Weights


def test_stops_at_the_first_look_that_is_narrow_enough():
    values = np.tile([0.0, 1.0], 5000)
    stop = Precision(half_width=0.05, minimum=100, every=50)
    # 1.96 * sqrt(.25 / n) <= .05 at about n = 384
    assert stop.done(np.arange(10_000), values) == 400
    assert stop.done(np.arange(390), values[:390]) is None


def test_equal_values_are_not_certain():
    zeros = np.zeros(2000)
    assert Precision(half_width=0.001, minimum=10).done(np.arange(2000), zeros) == 1960
    assert Precision(half_width=1e-9, minimum=10).done(np.arange(2000), zeros) is None


def test_values_that_are_no_shares_and_not_finite():
    values = np.random.default_rng(0).normal(10.0, 2.0, 4000)
    found = Precision(half_width=0.1).done(np.arange(4000), values)
    assert 1200 < found < 1900  # (1.96 * 2 / 0.1) ** 2 = 1537
    values[50] = np.inf
    assert Precision(half_width=0.1).done(np.arange(4000), values) is None


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

    return Campaign(model, evaluate, fault=BitFlip(count=1), target=Weights(), trials=trials)


def test_a_campaign_ends_early_and_always_at_the_same_trial(tmp_path):
    stop = Precision(metric="value", half_width=0.05, minimum=40, every=20)
    runs = campaign()
    whole = runs.run(progress=False).values("value")
    enough = stop.done(np.arange(2000), whole)
    assert 40 <= enough < 1000
    found = runs.run(progress=False, stop=stop)
    assert len(found) == enough
    path = tmp_path / "run.sqlite"
    runs.run(progress=False, stop=stop, seconds=0.0, store=path)
    assert len(runs.run(progress=False, stop=stop, store=path)) == enough
    assert len(runs.run(progress=False, stop=stop, store=path)) == enough


def test_a_shard_cannot_decide():
    with pytest.raises(CampaignError, match="sees only its own trials"):
        campaign().run(stop=Precision(), shard=Shard(0, 2))
