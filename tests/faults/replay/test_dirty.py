"""After a fault was met, only samples that differ from the golden ones are computed, and every bit is as in full."""

import pytest
import torch
from torch import nn

from clipact.errors import CampaignError
from clipact.faults import BitFlip, Campaign, Classification, Weights
from clipact.faults._replay import Cause, _dirty, _record, record
from clipact.faults._running import _shortcut
from clipact.where import named

SEEN = []
"""How many samples a counted block was given; replay does not look at global variables."""


class Counted(nn.Module):
    """A block that tells how many samples it was given."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        SEEN.append(len(x))
        return self.conv(x).relu()


class Mixing(nn.Module):
    """Every sample sees the others."""

    def forward(self, x):
        return x - x.mean(0)


def net(*middle):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), *middle, nn.Flatten(), nn.Linear(512, 10)
    ).eval()


def half_dark(batch=16):
    """Images of which every second one has nothing in channel 0, so that faults in its weights do not reach them."""
    images = torch.randn(batch, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    images[::2, 0] = 0
    return images


@pytest.fixture(autouse=True)
def _small_models_are_worth_it(monkeypatch):
    monkeypatch.setattr(_record, "_LEAST", -1.0)  # they take no time that could be saved


def replayed(model, images, *, word, dirty_only):
    """Outputs with an exponent bit of a weight of the first layer flipped: in full, and with replay."""
    tensors = Weights().tensors(model)

    def run():
        with torch.no_grad():
            return model(images)

    weights = {Cause(frozenset({n})): 1.0 for n in range(len(tensors))}
    recording = record(model, run, tensors, weights=weights)
    if dirty_only:
        recording.narrow(run)
    words = tensors[0].tensor.detach().view(torch.int32).view(-1)
    words[word] ^= 1 << 25
    full = run()
    SEEN.clear()
    with recording.replaying([0]) as replay:
        found = run()
    words[word] ^= 1 << 25
    assert replay.valid
    return full, found


def test_only_samples_that_faults_reach_go_on():
    model, images = net(Counted(8)), half_dark()
    full, found = replayed(model, images, word=4, dirty_only=True)
    assert torch.equal(full.view(torch.int32), found.view(torch.int32))
    assert SEEN[-1] == 8


def test_all_go_on_unless_asked():
    model, images = net(Counted(8)), half_dark()
    full, found = replayed(model, images, word=4, dirty_only=False)
    assert torch.equal(full.view(torch.int32), found.view(torch.int32))
    assert SEEN == [16]


def test_samples_that_see_each_other_stay_together():
    model, images = net(Mixing(), Counted(8)), half_dark()
    full, found = replayed(model, images, word=4, dirty_only=True)
    assert torch.equal(full.view(torch.int32), found.view(torch.int32))
    assert SEEN == [16]  # each differs from its golden value by the mean


def test_never_one_sample_alone():
    model, images = net(Counted(8)), half_dark()
    images[:, 0] = 0
    images[5, 0] = 1.0
    full, found = replayed(model, images, word=4, dirty_only=True)
    assert torch.equal(full.view(torch.int32), found.view(torch.int32))
    assert 2 <= SEEN[-1] < 16
    assert all(size >= 2 for batch in range(2, 70) for size in _dirty._sizes(batch))


def test_sizes_that_gave_other_bits_are_not_used(monkeypatch):
    real = _dirty._repeats
    monkeypatch.setattr(
        _dirty, "_repeats", lambda forward, x, y, size: size != 8 and real(forward, x, y, size)
    )
    model, images = net(Counted(8)), half_dark()
    full, found = replayed(model, images, word=4, dirty_only=True)
    assert torch.equal(full.view(torch.int32), found.view(torch.int32))
    assert SEEN[-1] == 10


def test_a_call_with_faults_inside_runs_in_full():
    model, images = net(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), Counted(8)), half_dark()
    campaign = Campaign(
        model,
        Classification([(images, torch.zeros(16, dtype=torch.long))]),
        fault=BitFlip(count=3),
        target=Weights(where=named("0.*", "4.*")),
        trials=40,
    )
    assert table(campaign.run(progress=False, dirty_only=True)) == table(
        campaign.run(progress=False, replay=False)
    )


def table(result):
    return [(t.trial, dict(t.metrics), t.digest) for t in result.trials]


def test_a_campaign_is_the_same_and_verified(monkeypatch):
    model, images = net(Counted(8), Counted(8)), half_dark(32)
    evaluation = Classification([(images, torch.zeros(32, dtype=torch.long))])
    campaign = Campaign(model, evaluation, fault=BitFlip(count=1), target=Weights(), trials=60)
    full = campaign.run(progress=False, replay=False)
    narrowed = []
    redo = _dirty.DirtySamples.redo

    def counted(self, *args):
        value = redo(self, *args)
        narrowed.append(value is not None)
        return value

    monkeypatch.setattr(_dirty.DirtySamples, "redo", counted)
    found = campaign.run(progress=False, dirty_only=True)
    assert any(narrowed)
    assert table(found) == table(full)
    wrong = lambda self, *args: None if (v := redo(self, *args)) is None else v + 1  # noqa: E731
    monkeypatch.setattr(_dirty.DirtySamples, "redo", wrong)
    with pytest.warns(UserWarning, match="other outputs with replay than in full"):
        campaign.run(progress=False, dirty_only=True, verify=0.5)


def test_more_trials_are_verified_than_of_replay_alone(monkeypatch):
    compared = []
    same = _shortcut._same_bits
    monkeypatch.setattr(
        _shortcut, "_same_bits", lambda one, two: compared.append(1) or same(one, two)
    )
    model, images = net(Counted(8)), half_dark()
    evaluation = Classification([(images, torch.zeros(16, dtype=torch.long))])
    campaign = Campaign(model, evaluation, fault=BitFlip(count=1), target=Weights(), trials=100)
    campaign.run(progress=False)
    plain = len(compared)
    campaign.run(progress=False, dirty_only=True)
    assert len(compared) - plain > plain


def test_needs_replay():
    model, images = net(), half_dark()
    campaign = Campaign(
        model,
        Classification([(images, torch.zeros(16, dtype=torch.long))]),
        fault=BitFlip(count=1),
        target=Weights(),
        trials=2,
    )
    with pytest.raises(CampaignError, match=r"dirty_only=True asked for with replay=False"):
        campaign.run(progress=False, replay=False, dirty_only=True)
