import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from clipact.errors import FaultError
from clipact.faults import BitFlip, Campaign, Weights, inject


@pytest.fixture
def linear():
    return nn.Sequential(nn.Linear(32, 32), nn.Linear(32, 8)).eval()


def test_faults_are_seen_under_an_outer_autocast(linear):
    images = torch.randn(4, 32)

    def evaluate(net):
        return net(images).float().nan_to_num().clamp(-9, 9).sum()

    campaign = Campaign(linear, evaluate, fault=BitFlip(rate=0.01), target=Weights(), trials=3)
    with torch.autocast("cpu", torch.bfloat16):
        before = linear(images)
        found = campaign.run(progress=False)
        assert torch.equal(linear(images), before)
    values = {trial.metrics["value"] for trial in found.trials}
    assert len(values) == 3
    assert found.golden["value"] not in values


def test_faulty_casts_do_not_outlive_inject(linear):
    images = torch.randn(4, 32)
    with torch.autocast("cpu", torch.bfloat16):
        before = linear(images)
        with inject(linear, BitFlip(rate=0.01), Weights()):
            assert not torch.equal(linear(images), before)
        assert torch.equal(linear(images), before)


def test_cached_parametrisations_are_refused(linear):
    parametrizations.weight_norm(linear[1])
    campaign = Campaign(linear, lambda _: 0.0, fault=BitFlip(count=1), target=Weights(), trials=1)
    with parametrize.cached():
        with (
            pytest.raises(FaultError, match=r"1 is parametrised and parametrize\.cached"),
            inject(linear, BitFlip(count=1), Weights()),
        ):
            pytest.fail("never entered")
        with pytest.raises(FaultError, match="parametrised"):
            campaign.run(progress=False)
        with inject(linear[0], BitFlip(count=1), Weights()):
            pass
