"""Verification of replayed trials."""

import pytest
import torch
from torch import nn

from clipact.faults import BitFlip, Campaign, Classification, Weights
from clipact.faults._replay import Recording
from clipact.faults._running import _shortcut

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
