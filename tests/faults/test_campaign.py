import math
import warnings

import pytest
import torch
from torch import nn

from clipact.errors import CampaignError, FaultError, SelectionError
from clipact.faults import (
    BitFlip,
    Campaign,
    Classification,
    FixedPoint,
    Thresholds,
    Weights,
    inject,
)

FAULTS = [BitFlip(rate=1e-4), BitFlip(rate=1e-2)]


@pytest.fixture
def loader(model):
    images = torch.randn(24, 3, 8, 8)
    labels = model.eval()(images).argmax(1)
    model.train()
    return [(images[:12], labels[:12]), (images[12:], labels[12:])]


def rows(result):
    frame = result.to_pandas().drop(columns="seconds")
    return frame.to_csv()


def test_one_row_a_trial(model, loader):
    result = Campaign(model, Classification(loader), fault=FAULTS, target=Weights(), trials=5).run(
        progress=False
    )
    frame = result.to_pandas()
    assert list(frame.columns) == [
        "trial",
        "fault",
        "accuracy",
        "sdc",
        "due",
        "seconds",
        "flips",
        "error",
    ]
    assert len(frame) == len(result) == 10
    assert frame["fault"].tolist() == [str(FAULTS[0])] * 5 + [str(FAULTS[1])] * 5
    assert frame["trial"].tolist() == [*range(5), *range(5)]
    assert result.golden == {"accuracy": 1.0, "sdc": 0.0, "due": 0.0}
    assert frame["sdc"].iloc[5:].mean() > frame["sdc"].iloc[:5].mean()


def test_reproducible_and_the_same_as_inject(model, loader):
    campaign = Campaign(
        model, Classification(loader), fault=FAULTS[1], target=Weights(), trials=4, seed=9
    )
    first = campaign.run(progress=False)
    assert rows(first) == rows(campaign.run(progress=False))
    evaluation = Classification(loader)
    golden = evaluation.golden(model)
    with inject(model, FAULTS[1], Weights(), seed=9, trial=2) as record:
        assert golden.evaluate(model) == first.trials[2].metrics
        assert len(record) == first.trials[2].flips


def test_a_trial_does_not_depend_on_the_others(model, loader):
    few = Campaign(model, Classification(loader), fault=FAULTS[1], target=Weights(), trials=2).run(
        progress=False
    )
    many = Campaign(model, Classification(loader), fault=FAULTS, target=Weights(), trials=4).run(
        progress=False
    )
    assert few.values("sdc", FAULTS[1]).tolist() == many.values("sdc", FAULTS[1]).tolist()[:2]


def test_the_model_is_as_before(model, loader, bits_of, same_bits):
    model[1].eval()
    before, modes = bits_of(model), [m.training for m in model.modules()]
    Campaign(model, Classification(loader), fault=FAULTS, target=Weights(), trials=3).run(
        progress=False
    )
    assert same_bits(model, before)
    assert [m.training for m in model.modules()] == modes


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError("bad luck")])
def test_a_failing_evaluation_leaves_the_model_as_before(model, bits_of, same_bits, error):
    before, modes, calls = bits_of(model), [m.training for m in model.modules()], []

    def evaluate(net):
        calls.append(net)
        if len(calls) == 5:
            raise error
        return 1.0

    campaign = Campaign(model, evaluate, fault=FAULTS, target=Weights(), trials=10)
    expected = KeyboardInterrupt if error is KeyboardInterrupt else CampaignError
    with pytest.raises(expected) as caught:
        campaign.run(progress=False, replay=False, stop_on_error=True)
    assert same_bits(model, before)
    assert [m.training for m in model.modules()] == modes
    if expected is CampaignError:
        assert "trial 3 of BitFlip(rate=0.0001), seed 0: ValueError('bad luck')" in str(
            caught.value
        )
        assert caught.value.__cause__ is error


def test_an_evaluation_that_fails_without_faults(model):
    with pytest.raises(CampaignError, match="golden run"):
        Campaign(model, lambda _: 1 / 0, fault=FAULTS[1], target=Weights()).run(progress=False)


def test_an_evaluation_that_trains_is_detected(model):
    def evaluate(net):
        with torch.no_grad():
            net[4].bias.add_(1.0)
        return 0.0

    with pytest.raises(CampaignError, match="must not train"):
        Campaign(model, evaluate, fault=BitFlip(count=1), target=Weights(), trials=2).run(
            progress=False
        )


def test_an_evaluation_that_replaces_a_tensor_is_detected(model):
    def evaluate(net):
        net[4].weight = nn.Parameter(net[4].weight.detach().clone())
        return 0.0

    with pytest.raises(CampaignError, match="must not train"):
        Campaign(model, evaluate, fault=BitFlip(rate=0.0), target=Weights(), trials=2).run(
            progress=False
        )


def test_an_evaluation_that_does_not_repeat_warns(model):
    values = iter(range(100))
    with pytest.warns(UserWarning, match="does not repeat"):
        Campaign(
            model, lambda _: next(values), fault=BitFlip(count=1), target=Weights(), trials=2
        ).run(progress=False)


def test_nan_that_repeats_is_no_warning(model):
    result = Campaign(
        model, lambda _: math.nan, fault=BitFlip(count=1), target=Weights(), trials=2
    ).run(progress=False)
    assert math.isnan(result.golden["value"])


def test_a_rate_that_can_hardly_hit_warns(model):
    with pytest.warns(UserWarning, match="hardly any trial has a fault"):
        Campaign(model, lambda _: 0.0, fault=BitFlip(rate=1e-9), target=Weights())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Campaign(
            model, lambda _: 0.0, fault=[BitFlip(rate=0.0), BitFlip(rate=1e-5)], target=Weights()
        )


@pytest.mark.parametrize(
    "kwargs", [{"fault": []}, {"fault": [BitFlip(count=1)] * 2}, {"trials": 0}, {"seed": "x"}]
)
def test_refuses(model, kwargs):
    with pytest.raises(FaultError):
        Campaign(model, lambda _: 0.0, **{"fault": FAULTS, "target": Weights(), **kwargs})


def test_refuses_a_target_without_bits(model):
    with pytest.raises(SelectionError):
        Campaign(model, lambda _: 0.0, fault=FAULTS, target=Thresholds())


def test_fixed_point_campaign(model, loader):
    result = Campaign(
        model,
        Classification(loader),
        fault=FAULTS[1],
        target=Weights(),
        trials=3,
        format=FixedPoint(16, 10),
    ).run(progress=False)
    assert "FixedPoint(bits=16, fraction=10)" in str(result.summary())
    assert result.values("due", FAULTS[1]).max() == 0.0


def test_another_number_of_trials(model, loader):
    few = Campaign(
        model, Classification(loader), fault=FAULTS[1], target=Weights(), trials=2, seed=9
    )
    more = few.with_trials(4).run(progress=False)
    assert len(more) == 4
    found = few.run(progress=False).values("sdc", FAULTS[1])
    assert found.tolist() == more.values("sdc", FAULTS[1]).tolist()[:2]
    with pytest.raises(FaultError):
        few.with_trials(0)


def test_progress_bar(model, capsys):
    Campaign(model, lambda _: 0.0, fault=BitFlip(count=1), target=Weights(), trials=2).run(
        progress=True
    )
    assert capsys.readouterr().out == ""


def test_a_model_without_batch_axis_of_its_own_device():
    model = nn.Linear(2, 2)
    loader = [(torch.eye(2), torch.tensor([0, 1]))]
    assert (
        len(
            Campaign(
                model, Classification(loader), fault=BitFlip(count=1), target=Weights(), trials=1
            ).run(progress=False)
        )
        == 1
    )
