"""Requests that cannot be right, and the one clear error each gets."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from clipact.errors import CampaignError, CampaignInterrupted, FaultError
from clipact.faults import (
    Activations,
    BitFlip,
    Campaign,
    Exhaustive,
    Listed,
    Outputs,
    Precision,
    Shard,
    Store,
    Stratified,
    Weights,
    compare,
    executors,
    inject,
    pooled_rate,
)
from clipact.where import named

ONE = BitFlip(count=1)


def campaign(evaluate=lambda net: 0.0, **kwargs):
    given = {"fault": ONE, "target": Weights(), "trials": 4} | kwargs
    return Campaign(nn.Linear(3, 3), evaluate, **given)


@pytest.mark.parametrize(
    "how",
    [
        {"shard": "0/4"},
        {"shard": (0, 4)},
        {"stop": 0.1},
        {"seconds": "a"},
        {"seconds": math.nan},
        {"seconds": -1},
        {"verify": "a"},
        {"store": ""},
        {"store": "."},
    ],
)
def test_a_run_with_odd_arguments(how):
    with pytest.raises((CampaignError, FaultError), match=next(iter(how))):
        campaign().run(progress=False, **how)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"per_sample": "no"}, "per_sample"),
        ({"evaluate": None}, "evaluate"),
        ({"trials": 2**32}, "at most 10,000,000"),
    ],
)
def test_a_campaign_with_odd_arguments(kwargs, message):
    with pytest.raises(FaultError, match=message):
        campaign(**kwargs)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Precision(half_width="a"),
        lambda: Listed(None),
        lambda: Stratified(allocation="neyman"),
        lambda: Shard("0", "4"),
        lambda: Shard(1.5, 2),
        lambda: executors.processes("a"),
        lambda: executors.processes(1.5),
        lambda: compare([1, 2]),
        lambda: campaign().run(progress=False).summary(confidence="a"),
    ],
)
def test_values_that_are_none(make):
    with pytest.raises((CampaignError, FaultError)):
        make()


def test_a_list_of_shares_will_do():
    assert pooled_rate([0.1, 0.2]).estimate == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({1: 1.0, "1": 2.0}, "twice"),
        ({"a\0b": 1.0}, "printable"),
        ({"\udcff": 1.0}, "printable"),
        ({str(n): 0.0 for n in range(1001)}, "at most 1,000"),
        ({"error": 1.0}, "columns of the result"),
    ],
)
def test_names_of_metrics_that_cannot_be_columns(metrics, message):
    with pytest.raises(CampaignError, match=message):
        campaign(lambda net: metrics).run(progress=False)


@pytest.mark.parametrize("value", ["a", None, 1j])
def test_a_metric_of_outputs_that_is_no_number(value):
    evaluation = Outputs([torch.ones(2, 3)], lambda output, golden: value)
    with pytest.raises(CampaignError, match="return a tensor of numbers"):
        campaign(evaluation).run(progress=False)


def test_a_traceback_that_no_file_can_hold_is_kept_all_the_same(tmp_path):
    calls = []

    def evaluate(net):
        calls.append(1)
        if len(calls) > 1:
            raise ValueError("\udcff\0")
        return 0.0

    with pytest.warns(UserWarning, match="after the trials"):
        result = campaign(evaluate).run(progress=False, replay=False, store=tmp_path / "run.sqlite")
    assert len(result.failures) == 4
    assert "ValueError" in Store.read(tmp_path / "run.sqlite").failures[0].error


@pytest.mark.parametrize("error", [OSError("gone"), KeyboardInterrupt])
def test_what_is_raised_after_the_last_trial_loses_nothing(error):
    calls = []

    def evaluate(net):
        calls.append(1)
        if len(calls) > 5:
            raise error
        return 0.0

    if isinstance(error, OSError):
        with pytest.warns(UserWarning, match="gone"):
            assert len(campaign(evaluate).run(progress=False, replay=False)) == 4
    else:
        with pytest.raises(CampaignInterrupted) as caught:
            campaign(evaluate).run(progress=False, replay=False)
        assert len(caught.value.result) == 4


def test_an_exhaustive_summary_does_not_doubt_itself():
    model = nn.Linear(2, 2)

    def evaluate(net):
        return float(net.weight.sum().nan_to_num().clamp(-1, 1))

    result = Campaign(
        model, evaluate, fault=ONE, target=Weights(), trials=128, sampling=Exhaustive()
    ).run(progress=False)
    assert len(np.unique(result.values("value"))) > 1
    assert "gave the same value" not in str(result.summary())


def test_sdc_that_is_not_a_number_is_not_zero():
    result = campaign(lambda net: {"sdc": math.nan}, trials=12).run(progress=False)
    assert math.isnan(result.summary().rows[0].any_trial["sdc"].estimate)


@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_a_sparse_buffer_is_run_in_full():
    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(4, 4)
            self.register_buffer("adjacency", torch.eye(4).to_sparse_csr())

        def forward(self, x):
            return self.lin((self.adjacency @ x.T).T)

    model = Graph()
    result = Campaign(
        model,
        lambda net: float(net(torch.ones(2, 4)).nansum()),
        fault=ONE,
        target=Weights(),
        trials=3,
    ).run(progress=False)
    assert len(result) == 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_script_modules_have_weights():
    model = nn.Sequential(torch.jit.trace(nn.Linear(3, 2), torch.ones(1, 3)))
    with inject(model, ONE, Weights(where=named("0.weight"))) as record:
        assert len(record) == 1


def test_a_compiled_model_is_told_what_to_give():
    model = torch.compile(nn.Sequential(nn.Linear(3, 2), nn.ReLU()))
    with (
        pytest.raises(RuntimeError, match=r"before torch\.compile"),
        inject(model, ONE, Activations(), example=torch.ones(1, 3)),
    ):
        pass


def test_strata_by_a_function_that_raises():
    with pytest.raises(FaultError, match=r"by\(tensor name, bit position\)"):
        campaign(sampling=Stratified(by=lambda name: name)).run(progress=False)
