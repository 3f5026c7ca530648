"""Verification of replayed trials."""

from contextlib import contextmanager

import pytest
import torch
from torch import nn

from clipact.faults import BitFlip, Buffers, Campaign, Classification, Weights
from clipact.faults._replay import Recording
from clipact.faults._running import _shortcut
from clipact.where import named

ONE = BitFlip(count=1)


@pytest.fixture
def campaign():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4)
    ).eval()
    inputs = torch.randn(32, 8)
    evaluation = Classification([(inputs, model(inputs).argmax(1))])
    return Campaign(model, evaluation, fault=ONE, target=Weights(), trials=30)


def table(result):
    return [(t.trial, dict(t.metrics), t.digest) for t in result.trials]


def test_verified_trials_are_the_full_ones(campaign, monkeypatch):
    compared = []
    same = _shortcut._same_bits

    def counted(one, two):
        compared.append(1)
        return same(one, two)

    monkeypatch.setattr(_shortcut, "_same_bits", counted)
    full = campaign.run(progress=False, replay=False)
    assert not compared
    assert table(campaign.run(progress=False, verify=1.0)) == table(full)
    every = len(compared)
    assert every > 10
    compared.clear()
    assert table(campaign.run(progress=False, verify=0.3)) == table(full)
    assert 2 < len(compared) < every
    compared.clear()
    assert table(campaign.run(progress=False)) == table(full)
    assert len(compared) == 2


def test_a_mismatch_is_told_and_ends_replay(campaign, monkeypatch):
    monkeypatch.setattr(_shortcut, "_same_bits", lambda one, two: False)
    replayed = []
    replaying = Recording.replaying

    def counted(self, *args, **kwargs):
        replayed.append(1)
        return replaying(self, *args, **kwargs)

    monkeypatch.setattr(Recording, "replaying", counted)
    full = campaign.run(progress=False, replay=False)
    with pytest.warns(UserWarning, match=r"other outputs with replay than in full.*replay=False"):
        found = campaign.run(progress=False)
    assert table(found) == table(full)
    assert 0 < len(replayed) < 30


def test_bits_are_compared_and_nan_is_itself():
    nan, zero = torch.tensor([float("nan")]), torch.tensor([0.0])
    assert _shortcut._same_bits([nan, 1.0, float("nan")], [nan.clone(), 1.0, float("nan")])
    assert not _shortcut._same_bits([zero], [-zero])
    assert not _shortcut._same_bits([zero], [zero.double()])
    assert not _shortcut._same_bits([zero, zero], [zero])


@pytest.mark.parametrize("target", [Weights(where=named("4.*")), Buffers(where=named("1.*"))])
def test_buffers_that_an_evaluation_updates_are_as_in_a_full_run(target):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(8, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64), nn.Linear(64, 4)
    ).eval()
    inputs = torch.randn(32, 8)

    def recalibrated(net):
        net[1].train()
        net(inputs)
        net[1].eval()
        return {
            "output": float(net(inputs).nan_to_num().clamp(-9, 9).sum()),
            "mean": float(net[1].running_mean.nan_to_num().clamp(-9, 9).sum()),
        }

    campaign = Campaign(model, recalibrated, fault=ONE, target=target, trials=12)
    full = campaign.run(progress=False, replay=False)
    assert table(campaign.run(progress=False, verify=1.0)) == table(full)
    assert table(campaign.run(progress=False)) == table(full)


def test_a_replay_that_fails_is_run_again_from_the_same_buffers(monkeypatch):
    class Spoilt:
        valid, skipped = False, 1

    @contextmanager
    def replaying(self, *args, **kwargs):
        yield Spoilt()

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 4)).eval()

    def updated(net):
        net[1].train()
        net(torch.ones(4, 8).cumsum(0))
        return float(net[1].running_mean.sum())

    campaign = Campaign(model, updated, fault=ONE, target=Weights(where=named("2.*")), trials=4)
    full = campaign.run(progress=False, replay=False)
    monkeypatch.setattr(Recording, "replaying", replaying)
    assert table(campaign.run(progress=False)) == table(full)
