"""Campaigns with faults in values that flow: lifetimes, trials of one sample, packing."""

import pytest
import torch
from torch import nn

from clipact.errors import CampaignError, FaultError
from clipact.faults import (
    Activations,
    BitFlip,
    Campaign,
    Classification,
    Inputs,
    Lifetime,
    Outputs,
    StuckAt,
    Weights,
)
from clipact.where import named, of_type

ONE = BitFlip(count=1)


@pytest.fixture
def loader(model):
    images = torch.randn(20, 3, 8, 8)
    labels = model.eval()(images).argmax(1)
    return [(images[:8], labels[:8]), (images[8:16], labels[8:16]), (images[16:], labels[16:])]


def run(model, loader, how=None, **kwargs):
    given = {"fault": ONE, "target": Activations(), "trials": 60} | kwargs
    campaign = Campaign(model, Classification(loader), **given)
    return campaign.run(progress=False, **(how or {}))


def table(result):
    return [(t.trial, dict(t.metrics), t.flips, t.digest, t.error, t.faults) for t in result.trials]


def test_trials_of_one_sample_do_not_depend_on_packing(model, loader):
    packed = run(model, loader, per_sample=True)
    alone = [run(model, loader, {"shard": None}, per_sample=True, trials=t + 1) for t in (0, 7, 31)]
    for found in alone:
        assert table(found)[-1] == table(packed)[len(found) - 1]
    assert set(packed.values("accuracy")) <= {0.0, 1.0}
    assert {f.tensor for t in packed.trials for f in t.faults} == {"2"}


def test_each_sample_is_seen_once_a_round(model, loader):
    seen = []
    evaluation = Outputs(
        [images for images, _ in loader], lambda output, golden: (output != golden).any(1)
    )
    model[0].register_forward_hook(lambda *_: seen.append(1))
    stuck = StuckAt(1, rate=1.0)
    result = Campaign(
        model, evaluation, fault=stuck, target=Activations(), trials=20, per_sample=True
    ).run(progress=False)
    assert result.values("value").tolist() == [1.0] * 20
    assert len(seen) == 3 * 3  # golden, the packed trials, golden again: three batches each


def test_single_weight_faults_of_one_sample(model, loader):
    result = run(model, loader, target=Weights() | Activations(), per_sample=True, trials=40)
    assert {f.tensor for t in result.trials for f in t.faults} > {"0.weight"}
    whole = run(model, loader, target=Weights() | Activations(), trials=40)
    assert [t.digest for t in result.trials] == [t.digest for t in whole.trials]


def test_lifetimes(model, loader):
    drawn = {life: run(model, loader, lifetime=life, trials=4) for life in Lifetime}
    flips = {life: {t.flips for t in result.trials} for life, result in drawn.items()}
    assert flips == {Lifetime.STATIC: {1}, Lifetime.BATCH: {3}, Lifetime.SAMPLE: {20}}
    digests = [t.digest for result in drawn.values() for t in result.trials]
    assert len(set(digests)) == len(digests)
    for life, result in drawn.items():
        assert table(result) == table(run(model, loader, lifetime=life, trials=4))


def test_transient_faults_in_memory_are_drawn_for_each_forward(model, loader, bits_of, same_bits):
    before, seen = bits_of(model), []
    handle = model[0].register_forward_pre_hook(lambda m, _: seen.append(m.weight.detach().clone()))
    result = run(
        model, loader, target=Weights(), lifetime=Lifetime.BATCH, trials=2, fault=BitFlip(count=5)
    )
    handle.remove()
    assert same_bits(model, before)
    assert [t.flips for t in result.trials] == [15, 15]
    static = run(model, loader, target=Weights(), trials=2, fault=BitFlip(count=5))
    assert [t.flips for t in static.trials] == [5, 5]
    in_trials = [w.flatten().tolist() for w in seen[3:9]]
    assert len({str(w) for w in in_trials}) > 3


def test_static_faults_in_memory_stay_over_batches(model, loader):
    seen = []
    handle = model[0].register_forward_pre_hook(lambda m, _: seen.append(m.weight.detach().clone()))
    run(
        model,
        loader,
        {"replay": False},
        target=Weights(where=named("0.*")),
        trials=2,
        fault=BitFlip(rate=0.1),
    )
    handle.remove()
    first, second = seen[3:6], seen[6:9]
    for batches in (first, second):
        assert all(torch.equal(batches[0].view(torch.int32), w.view(torch.int32)) for w in batches)
    assert not torch.equal(first[0].view(torch.int32), second[0].view(torch.int32))


@pytest.mark.parametrize("target", [Activations(), Inputs(), Activations(where=of_type(nn.Conv2d))])
def test_replay_gives_what_the_full_run_gives(model, loader, target):
    short = run(model, loader, target=target, trials=25)
    full = run(model, loader, {"replay": False}, target=target, trials=25)
    assert table(short) == table(full)


def test_a_metric_of_whole_batches_has_no_trials_of_one_sample(model, loader):
    evaluation = Outputs([images for images, _ in loader], lambda output, golden: 0.0)
    with pytest.raises(CampaignError, match=r"shape \(N,\)"):
        Campaign(model, evaluation, fault=ONE, target=Activations(), per_sample=True).run(
            progress=False
        )
    with pytest.raises(CampaignError, match="per_sample=True needs an evaluation"):
        Campaign(model, lambda net: 0.0, fault=ONE, target=Weights(), per_sample=True).run(
            progress=False
        )


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"lifetime": Lifetime.SAMPLE, "target": Weights()}, "same for all samples of a batch"),
        ({"lifetime": Lifetime.BATCH, "per_sample": True}, "leave one out"),
        ({"lifetime": "batch"}, r"Lifetime\.STATIC"),
    ],
)
def test_refuses(model, loader, kwargs, message):
    with pytest.raises(FaultError, match=message):
        run(model, loader, **kwargs)


def test_a_packed_trial_that_raises_is_told_from_the_others(model, loader):
    class Picky(nn.Module):
        def forward(self, x):
            if not bool((x.abs() < 1e6).all()):
                raise OverflowError("too large")
            return x

    net = nn.Sequential(*model[:3], Picky(), *model[3:])
    result = run(
        net, loader, target=Activations(), fault=BitFlip(count=40), per_sample=True, trials=20
    )
    failed = {t.trial for t in result.failures}
    assert 0 < len(failed) < 20
    assert all("OverflowError" in t.error for t in result.failures)
