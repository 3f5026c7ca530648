"""Campaigns on spiking networks: faults in weights, in thresholds, in spikes."""

import pytest
import torch
from torch import nn

import clipact as ca
from clipact import faults
from clipact.nn import HoyerLeaky, HoyerSpike
from clipact.spiking import fold, to_spiking_
from clipact.where import of_type


@pytest.fixture
def network():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 8), nn.ReLU(), nn.Linear(8, 3)
    )  # fmt: skip
    model = to_spiking_(model, example=torch.randn(2, 1, 8, 8))
    with torch.no_grad():
        model(torch.randn(64, 1, 8, 8))
    return model.eval()


X = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def campaign(model, target, **options):
    with torch.no_grad():
        labels = model(X).argmax(1)
    evaluation = faults.Classification([(X, labels)])
    fault = options.pop("fault", faults.BitFlip(count=4))
    return faults.Campaign(model, evaluation, fault=fault, target=target, trials=40, **options)


@pytest.mark.parametrize(
    "target",
    [faults.Weights(), faults.Thresholds(), faults.Buffers(), faults.Activations()],
    ids=lambda target: type(target).__name__,
)
def test_faults_are_met_replayed_and_taken_back(network, target):
    before = {k: v.clone() for k, v in network.state_dict().items()}
    asked = campaign(network, target)
    result = asked.run(progress=False)
    full = asked.run(progress=False, replay=False)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert result.golden["accuracy"] == 1.0
    assert min(result.values("accuracy")) < 1.0
    assert result.values("accuracy").tolist() == full.values("accuracy").tolist()


def test_thresholds_are_the_clip_values(network):
    result = campaign(network, faults.Thresholds()).run(progress=False)
    assert result.population == 2 * 32
    assert set(result.tensors) == {"2.v_threshold", "5.v_threshold"}


def test_a_spike_that_flips_is_there_or_not(network):
    spikes = faults.Activations(where=of_type(HoyerSpike))
    clean, faulty = [], []
    network[2].register_forward_hook(lambda m, a, y: clean.append(y.clone()))
    network[3].register_forward_hook(lambda m, a, y: faulty.append(a[0].clone()))
    fault = faults.RandomValue(1.0, 1.0, count=30)
    with torch.no_grad(), faults.inject(network, fault, spikes, seed=0, example=X[:2]) as record:
        network(X)
    hit = [fault.index for fault in record if fault.tensor == "2"]
    changed = (clean[-1] != faulty[-1]).flatten(1)
    assert len(hit) > 20
    assert 0 < changed[0].sum() < len(hit)  # some of them spiked anyway
    assert set(changed.nonzero()[:, 1].tolist()) <= set(hit)
    assert faulty[-1].unique().tolist() == [0.0, 1.0]


def test_a_folded_network_meets_faults_in_the_same_weights(network):
    folded = fold(network)
    ours = campaign(network, faults.Weights(where=~of_type(nn.BatchNorm2d)))
    theirs = campaign(folded, faults.Weights())
    assert ours.run(progress=False).population == theirs.run(progress=False).population


def test_the_threshold_of_a_leaky_neuron_is_one_where_it_is_trained():
    learned = HoyerLeaky(0.5, num_steps=1, threshold=0.7, learn_threshold=True, learn_beta=True)
    model = nn.Sequential(nn.Linear(2, 3), learned, HoyerLeaky(0.5, num_steps=1))
    assert list(ca.thresholds(model)) == ["1.threshold"]
    assert ca.thresholds(model)["1.threshold"] is learned.threshold
    assert faults.population(model, faults.Thresholds()) == 32
    assert (
        faults.population(model, faults.Weights()) == (2 * 3 + 1) * 32
    )  # its beta is no threshold
    before = learned.threshold.detach().clone()
    with faults.inject(model, faults.BitFlip(count=1), faults.Thresholds(), seed=0) as record:
        assert [fault.tensor for fault in record] == ["1.threshold"]
        assert not torch.equal(learned.threshold, before)
    assert torch.equal(learned.threshold, before)
