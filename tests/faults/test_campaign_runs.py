"""A campaign's runs: stored, continued, interrupted, cut short, in shards."""

import math
import warnings

import pytest
import torch
from torch import nn

from clipact.errors import CampaignError, CampaignInterrupted
from clipact.faults import BitFlip, Campaign, Classification, Shard, Store, Weights, merge

ONE = BitFlip(count=1)
FAULTS = [ONE, BitFlip(rate=1e-3)]


@pytest.fixture
def loader(model):
    images = torch.randn(24, 3, 8, 8)
    labels = model.eval()(images).argmax(1)
    model.train()
    return [(images[:12], labels[:12]), (images[12:], labels[12:])]


def table(result):
    return [
        (t.trial, str(t.fault), dict(t.metrics), t.flips, t.digest, t.error, t.faults)
        for t in result.trials
    ]


def campaign(model, loader, **kwargs):
    given = {"fault": FAULTS, "target": Weights(), "trials": 12, "seed": 1} | kwargs
    return Campaign(model, Classification(loader), **given)


def test_a_store_holds_the_same_table(model, loader, tmp_path):
    path = tmp_path / "run.sqlite"
    plain = campaign(model, loader).run(progress=False)
    stored = campaign(model, loader).run(store=path, progress=False)
    assert table(plain) == table(stored) == table(Store.read(path))
    assert Store.read(path).summary().rows == plain.summary().rows


def test_what_is_in_the_store_is_not_run_again(model, loader, tmp_path):
    path = tmp_path / "run.sqlite"
    calls = []

    def evaluate(net):
        calls.append(1)
        return float(net[4].weight.abs().nan_to_num(1e9).sum())

    def run(trials):
        calls.clear()
        return Campaign(model, evaluate, fault=ONE, target=Weights(), trials=trials).run(
            store=path, progress=False, replay=False
        )

    first = run(5)
    assert len(calls) == 5 + 2  # golden, and once more at the end
    more = run(8)
    assert len(calls) == 3 + 2
    assert table(more)[:5] == table(first)
    assert len(more) == 8
    assert len(run(5)) == 8  # nothing is lost by asking for less


def test_interrupted_and_continued_is_uninterrupted(model, loader, tmp_path, same_bits, bits_of):
    path, before = tmp_path / "run.sqlite", bits_of(model)
    whole = campaign(model, loader).run(progress=False, replay=False)
    done = 0
    for stop_at in (3, 9, 14):
        seen = []

        def interrupt(_module, _args, seen=seen, stop_at=stop_at):
            seen.append(1)
            if len(seen) > 2 * stop_at:
                raise KeyboardInterrupt

        handle = model.register_forward_pre_hook(interrupt)
        with pytest.raises(
            CampaignInterrupted, match=r"of 24 trials; they are in .*run\.sqlite"
        ) as caught:
            campaign(model, loader).run(store=path, progress=False, replay=False)
        handle.remove()
        assert isinstance(caught.value, KeyboardInterrupt)
        assert len(caught.value.result) >= done
        done = len(caught.value.result)
        assert same_bits(model, before)
    assert table(campaign(model, loader).run(store=path, progress=False)) == table(whole)


def test_a_changed_model_is_another_campaign(model, loader, tmp_path):
    path = tmp_path / "run.sqlite"
    campaign(model, loader).run(store=path, progress=False)
    with torch.no_grad():
        model[4].bias += 1.0
    with pytest.raises(CampaignError, match=r"another campaign(?s:.*)SHA-256 of the weights"):
        campaign(model, loader).run(store=path, progress=False)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"seed": 2}, "seed"),
        ({"fault": ONE}, "fault models"),
        ({"target": Weights() | Weights()}, "target"),
        ({"per_sample": True}, "lifetime"),
    ],
)
def test_another_campaign_is_told_apart(model, loader, tmp_path, change, what):
    path = tmp_path / "run.sqlite"
    campaign(model, loader).run(store=path, progress=False)
    with pytest.raises(CampaignError, match=rf"another campaign(?s:.*){what}"):
        campaign(model, loader, **change).run(store=path, progress=False)


def test_other_data_is_another_campaign(model, loader, tmp_path):
    path = tmp_path / "run.sqlite"
    campaign(model, loader).run(store=path, progress=False)
    with pytest.raises(CampaignError, match="another campaign"):
        campaign(model, loader[::-1]).run(store=path, progress=False)


def test_shards_merge_to_the_whole(model, loader, tmp_path):
    whole = campaign(model, loader).run(progress=False)
    paths = [tmp_path / f"{index}.sqlite" for index in range(3)]
    sizes = [
        len(campaign(model, loader).run(store=path, shard=Shard(index, 3), progress=False))
        for index, path in enumerate(paths)
    ]
    assert sizes == [8, 8, 8]
    merge(paths, tmp_path / "all.sqlite")
    assert table(Store.read(tmp_path / "all.sqlite")) == table(whole)


def test_a_time_limit_gives_what_is_done(model, loader, tmp_path):
    path = tmp_path / "run.sqlite"
    part = campaign(model, loader, trials=100_000).run(store=path, seconds=0.5, progress=False)
    assert 0 < len(part) < 100_000
    trials = [t.trial for t in part.trials]
    assert trials == list(range(len(trials)))


def test_an_evaluation_that_raises_under_faults_is_recorded(model, bits_of, same_bits):
    before = bits_of(model)

    def evaluate(net):
        total = float(net[4].weight.sum())
        if not abs(total) < 1e3:
            raise ValueError(f"sum is {total}")
        return total

    given = {"fault": BitFlip(rate=2e-4), "target": Weights(), "trials": 30}
    result = Campaign(model, evaluate, **given).run(progress=False)
    failed = result.failures
    assert 0 < len(failed) < 30
    assert "ValueError: sum is" in failed[0].error
    assert math.isnan(result.values("value")[failed[0].trial])
    assert result.summary().rows[0].failed == len(failed)
    assert "left out" in str(result.summary())
    assert same_bits(model, before)
    with pytest.raises(CampaignError, match=rf"failed in trial {failed[0].trial} of") as caught:
        Campaign(model, evaluate, **given).run(progress=False, stop_on_error=True)
    assert isinstance(caught.value.__cause__, ValueError)
    assert same_bits(model, before)


def test_failed_trials_are_not_run_again(model, tmp_path):
    path, calls = tmp_path / "run.sqlite", []

    def evaluate(net):
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("bad luck")
        return 0.0

    def run():
        return Campaign(model, evaluate, fault=ONE, target=Weights(), trials=6).run(
            store=path, progress=False, replay=False
        )

    assert [t.trial for t in run().failures] == [2]
    before = len(calls)
    assert [t.trial for t in run().failures] == [2]
    assert len(calls) == before + 2


@pytest.mark.parametrize("verify", [-0.1, 1.1, math.nan])
def test_refuses_a_share_out_of_range(model, loader, verify):
    with pytest.raises(CampaignError, match="share of the trials"):
        campaign(model, loader).run(verify=verify)


def test_a_store_that_cannot_be_written(model, loader, tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(CampaignError, match="cannot be"):
        campaign(model, loader).run(store=tmp_path / "file" / "run.sqlite", progress=False)
    with pytest.raises(CampaignError, match="file"):
        campaign(model, loader).run(store=tmp_path / "file", progress=False)
    assert (tmp_path / "file").read_text() == "text"


def test_no_warning_where_all_is_well(model, loader, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        campaign(model, loader).run(store=tmp_path / "run.sqlite", progress=False, verify=1.0)


def test_a_stateless_module_is_left_alone(model, loader):
    assert isinstance(model, nn.Sequential)
    keys = {name: set(vars(module)) for name, module in model.named_modules()}
    campaign(model, loader).run(progress=False)
    assert {name: set(vars(module)) for name, module in model.named_modules()} == keys


def test_a_result_names_the_tensors_in_the_models_order(model, loader, tmp_path):
    result = campaign(model, loader).run(store=tmp_path / "run.sqlite", progress=False)
    assert result.tensors == ("0.weight", "1.weight", "4.weight")
    assert Store.read(tmp_path / "run.sqlite").tensors == result.tensors
