"""ProAct: one stage at a time, accepted within the tolerance, nothing else moved."""

import math

import pandas as pd
import pytest
import torch
from torch import nn

import clipact as ca
from clipact.errors import SelectionError, TrainingError
from clipact.methods._trained import _ladder

Descent = ca.training.Descent


def protect(task, method, **keywords):
    return ca.protect(task.model, method, task.train, task.validate, progress=False, **keywords)


def accuracy(model, batches):
    with torch.no_grad():
        right = sum(int((model(images).argmax(1) == labels).sum()) for images, labels in batches)
    return right / sum(len(labels) for _, labels in batches)


def values(model):
    return {name: each.detach().clone() for name, each in ca.thresholds(model).items()}


@pytest.fixture
def seen(monkeypatch):
    """The thresholds' values after each epoch, by the stage at work."""
    steps = []
    real = _ladder.fit

    def fit(lesson, thresholds, descent, after):
        def look(epoch):
            steps.append((thresholds, lesson.train._model))
            moved.append(values(lesson.train._model))
            return after(epoch)

        return real(lesson, thresholds, descent, look)

    moved = []
    monkeypatch.setattr(_ladder, "fit", fit)
    return moved


def test_hybrid_thresholds_that_train_and_nothing_else_moves(task, proact, unmoved):
    before = unmoved.bits(task.model)
    for parameter in list(task.model.parameters())[::2]:
        parameter.requires_grad_(False)
    task.model[0].weight.grad = torch.ones_like(task.model[0].weight)
    task.model[1].train()
    flags = [parameter.requires_grad for parameter in task.model.parameters()]
    protect(task, proact(tolerance=0.1))
    assert [tuple(each.shape) for each in ca.thresholds(task.model).values()] == [(1,), (1,), (8,)]
    assert unmoved.same(before, task.model)
    own = [p for name, p in task.model.named_parameters() if not name.endswith("threshold")]
    assert [parameter.requires_grad for parameter in own] == flags
    assert task.model[1].training
    assert not task.model[0].training
    assert torch.equal(task.model[0].weight.grad, torch.ones_like(task.model[0].weight))
    for threshold in ca.thresholds(task.model).values():
        assert not threshold.requires_grad
        assert threshold.grad is None


def test_only_the_stage_at_work_moves_from_the_last_to_the_first(task, proact, seen):
    profile = ca.calibrate(task.model, [images for images, _ in task.train])
    receipt = protect(task, proact(tolerance=0.1, decays=(0.4,)))
    starts = {
        "2.threshold": profile["2"].maximum(),
        "5.threshold": profile["5"].maximum(),
        "9.threshold": profile["9"].maximum("neuron"),
    }
    stages = [row["stage"] for row in receipt.history]
    assert stages == ["9.threshold", "5.threshold", "2.threshold"]
    epochs = iter(seen)
    for row in receipt.history:
        for _ in range(row["epochs"]):
            now = next(epochs)
            for name, start in starts.items():
                assert torch.equal(now[name], start) == (name != row["stage"]), (row, name)
        starts[row["stage"]] = now[row["stage"]]
    assert all(torch.equal(values(task.model)[name], kept) for name, kept in starts.items())


@pytest.mark.parametrize("tolerance", [0.0, 0.03, 0.1, 0.3])
def test_an_accepted_stage_never_leaves_the_tolerance(task, proact, tolerance):
    receipt = protect(task, proact(tolerance=tolerance))
    golden = receipt.history[0]["accuracy"] + receipt.history[0]["drop"]
    accepted = [row for row in receipt.history if row["accepted"]]
    assert len(accepted) == 3
    for row in receipt.history:
        assert row["accepted"] == (row["drop"] <= tolerance)
        assert row["accuracy"] + row["drop"] == pytest.approx(golden)
    assert accuracy(task.model, task.validate) == accepted[-1]["accuracy"] >= golden - tolerance


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tolerance": 0.3, "decays": (0.4, 0.04)}, True),  # they lose nothing in so few steps
        ({"tolerance": 0.3, "decays": (0.4,), "early": None}, True),
        ({"tolerance": 0.0, "decays": (0.04,)}, False),  # there is nothing to use
        ({"tolerance": 0.1}, False),  # decays that are too strong are refused
    ],
)
def test_tolerance_left_with_the_strongest_decay_is_told(task, proact, caplog, changes, says):
    receipt = protect(task, proact(**changes))
    first = {row["stage"]: row["accepted"] for row in reversed(receipt.history)}
    lost = max(receipt.history[-1]["drop"], 0.0)
    assert says == (all(first.values()) and lost < changes["tolerance"] / 2)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    if not says:
        assert told == []
        return
    assert len(told) == 1
    assert "of the 30 held-out samples that the tolerance allows" in told[0]
    assert "no stage had more than 20: give more (smaller batches, more epochs)" in told[0]


def test_the_history_says_why(task, proact):
    receipt = protect(task, proact(tolerance=0.03))
    refused = [row for row in receipt.history if not row["accepted"]]
    accepted = [row for row in receipt.history if row["accepted"]]
    hopeless = [row for row in refused if "no way back" in row["why"]]
    assert hopeless
    assert all(row["epochs"] < (5 if row["thresholds"] > 1 else 4) for row in hopeless)
    assert any("beyond the 3 allowed" in row["why"] for row in refused)
    assert all("within the 3 allowed" in row["why"] for row in accepted)
    assert all(row["seconds"] > 0 and row["epochs"] > 0 for row in receipt.history)
    table = receipt.history.to_pandas()
    assert isinstance(table, pd.DataFrame)
    assert table.accepted.sum() == 3
    assert str(receipt.history).splitlines()[0].split()[:3] == ["stage", "thresholds", "decay"]


def test_a_stage_that_no_decay_suits_stays_where_it_was(task, proact):
    profile = ca.calibrate(task.model, [images for images, _ in task.train])
    receipt = protect(task, proact(tolerance=0.0, decays=(40.0, 39.0)))
    assert not any(row["accepted"] for row in receipt.history)
    assert len(receipt.history) == 6
    found = values(task.model)
    assert torch.equal(found["5.threshold"], profile["5"].maximum())
    assert torch.equal(found["9.threshold"], profile["9"].maximum("neuron"))


def test_without_decays_the_thresholds_are_the_maxima(task, proact):
    assert list(protect(task, proact(decays=())).history) == []
    assert len(ca.thresholds(task.model)) == 3


def test_what_ends_early_does_not_change_what_is_accepted(task, proact):
    """To the last bit where only what cannot be accepted is left out."""
    whole = proact(tolerance=0.03, early=None)
    receipt = protect(task, whole)
    expected, attempts = values(task.model), len(receipt.history)
    assert sum(row["accepted"] for row in receipt.history) == 3
    assert sum(row["why"] == "a stronger decay is kept" for row in receipt.history) == 3
    epochs = sum(row["epochs"] for row in receipt.history)
    receipt.restore()
    receipt = protect(task, proact(tolerance=0.03, early=ca.methods.Early(settled=0.0)))
    assert all(torch.equal(values(task.model)[name], each) for name, each in expected.items())
    assert len(receipt.history) < attempts
    assert sum(row["epochs"] for row in receipt.history) < epochs


def test_a_settled_attempt_ends_near_where_it_would(task, proact):
    near = proact(tolerance=0.1, early=ca.methods.Early(settled=0.02), decays=(0.4,))
    receipt = protect(task, near)
    short, epochs = values(task.model), sum(row["epochs"] for row in receipt.history)
    receipt.restore()
    receipt = protect(task, proact(tolerance=0.1, early=ca.methods.Early(settled=0), decays=(0.4,)))
    assert epochs < sum(row["epochs"] for row in receipt.history)
    for name, each in values(task.model).items():
        torch.testing.assert_close(short[name], each, rtol=0.03, atol=0.01)


@pytest.mark.parametrize("cache", [0, 5000])
def test_the_cache_changes_no_bit(task, proact, cache):
    receipt = protect(task, proact(tolerance=0.1))
    expected = values(task.model)
    receipt.restore()
    protect(task, proact(tolerance=0.1, cache=cache))
    assert all(torch.equal(values(task.model)[name], each) for name, each in expected.items())


def test_one_pass_of_the_model_a_step(task, proact):
    calls = []
    task.model.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    receipt = protect(
        task,
        proact(tolerance=1e-2, decays=(0.4,), cache=0, early=ca.methods.Early(0, hopeless=False)),
    )
    steps = sum(row["epochs"] for row in receipt.history) * len(task.train)
    assert sum(calls) == steps


def test_restored_bit_for_bit(task, proact):
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    shown = str(task.model)
    protect(task, proact()).restore()
    assert str(task.model) == shown
    assert all(torch.equal(value, before[name]) for name, value in task.model.state_dict().items())


def test_the_hard_form_keeps_the_thresholds(task, proact):
    protect(task, proact(tolerance=0.1))
    trained = values(task.model)
    ca.harden_(task.model)
    assert isinstance(task.model[2], ca.nn.ZeroedReLU)
    for name, each in values(task.model).items():
        assert torch.equal(each, trained[name].clamp(min=0))


def test_granularity_guard_and_slope(task, proact):
    method = proact(
        tolerance=0.1,
        granularity="channel",
        last="layer",
        slope=ca.methods.RelativeSlope(start=5, end=50),
        output_guard=True,
    )
    protect(task, method)
    assert [tuple(each.shape) for each in ca.thresholds(task.model).values()][:3] == [
        (4, 1, 1), (6, 1, 1), (1,),
    ]  # fmt: skip
    smooth = [m for m in task.model if isinstance(m, ca.nn.RelativeHyReLU)]
    assert [activation.slope for activation in smooth] == [50, 50, 50]
    assert isinstance(task.model.output_guard, ca.nn.OutputGuard)


def test_a_slope_that_anneals_is_steep_when_it_is_judged(task, proact, monkeypatch):
    slopes = []
    real = _ladder.Forwards.right

    def right(self):
        slopes.append([m.slope for m in self._model if isinstance(m, ca.nn.RelativeHyReLU)])
        return real(self)

    monkeypatch.setattr(_ladder.Forwards, "right", right)
    protect(task, proact(tolerance=0.1, slope=ca.methods.RelativeSlope(start=5, end=50)))
    assert slopes
    assert all(slope == 50 for found in slopes for slope in found)


def test_a_teacher_of_ones_own(task, proact):
    torch.manual_seed(3)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).train()
    receipt = protect(task, proact(tolerance=0.1, decays=(0.4,)))
    own = values(task.model)
    receipt.restore()
    protect(task, proact(tolerance=0.1, decays=(0.4,), teacher=teacher))
    assert teacher.training
    assert any(not torch.equal(values(task.model)[name], each) for name, each in own.items())


def test_an_estimate_leaves_the_model_alone(task, proact):
    shown = str(task.model)
    found = proact().estimate(task.model, task.train, task.validate)
    assert found.stages == 3
    assert 0 < found.seconds < found.most
    assert "3 stages" in str(found)
    assert str(task.model) == shown


def test_progress_is_said(task, proact, caplog):
    with caplog.at_level("INFO"):
        ca.protect(task.model, proact(), task.train, task.validate, progress=True)
    assert "ProAct" in caplog.text


def test_only_relus_are_trained(task, proact):
    task.model[2] = nn.GELU()
    protect(task, proact(tolerance=0.1))
    assert isinstance(task.model[2], ca.nn.RangeRestricted)
    assert isinstance(task.model[5], ca.nn.HyReLU)


def test_mappings_with_labels_are_batches_too(task, proact):
    class Model(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, pixels, labels=None):
            assert labels is None
            return {"logits": self.inner(pixels)}

    def mappings(batches):
        return [{"pixels": images, "labels": labels} for images, labels in batches]

    receipt = protect(task, proact(tolerance=0.1))
    expected = values(task.model)
    receipt.restore()
    ca.protect(
        Model(task.model),
        proact(tolerance=0.1),
        mappings(task.train),
        mappings(task.validate),
        progress=False,
    )
    assert all(torch.equal(values(task.model)[name], each) for name, each in expected.items())


# bad input


@pytest.mark.parametrize("method", [ca.methods.ProAct(), ca.methods.FitAct()])
def test_held_out_data_is_needed(task, method):
    with pytest.raises(TrainingError, match="needs held-out data"):
        ca.protect(task.model, method, task.train, progress=False)
    with pytest.raises(TrainingError, match="same data"):
        ca.protect(task.model, method, task.train, task.train, progress=False)
    again = [(images.clone(), labels) for images, labels in task.train[:2]]
    with pytest.raises(TrainingError, match=r"all 32 samples .* among its training data"):
        ca.protect(task.model, method, task.train, again, progress=False)


@pytest.mark.parametrize("method", [ca.methods.ProAct(), ca.methods.FitAct()])
def test_loaders_without_batches_or_labels(task, method):
    with pytest.raises(TrainingError, match="the training data is empty"):
        ca.protect(task.model, method, [], task.validate, progress=False)
    with pytest.raises(TrainingError, match="the validation data is empty"):
        ca.protect(task.model, method, task.train, iter([]), progress=False)
    images = [images for images, _ in task.train]
    with pytest.raises(
        TrainingError, match=r"batch 0 of the training data has no labels.*\(inputs, labels\)"
    ):
        ca.protect(task.model, method, images, task.validate, progress=False)
    soft = [(images, torch.rand(16, 3)) for images, _ in task.train]
    with pytest.raises(TrainingError, match=r"labels of torch.float32 and shape \(16, 3\)"):
        ca.protect(task.model, method, soft, task.validate, progress=False)


def test_a_tolerance_finer_than_an_image_says_the_smallest(task, proact):
    with pytest.raises(
        TrainingError, match=r"one of the 100 held-out images is 0\.01 .*or hold 200 images back"
    ):
        protect(task, proact(tolerance=0.005))
    with pytest.raises(TrainingError, match="share of the held-out images"):
        proact(tolerance=1.5)


def test_a_teacher_of_other_classes(task, proact):
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(16, 5))
    with pytest.raises(TrainingError, match=r"shape \(16, 5\) where the model gives \(16, 3\)"):
        protect(task, proact(teacher=teacher))


def test_a_last_site_without_neurons(proact):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    data = [(torch.randn(4, 1, size, size), torch.zeros(4, dtype=torch.long)) for size in (6, 8)]
    held_out = [(torch.randn(4, 1, 8, 8), torch.zeros(4, dtype=torch.long))]
    with torch.no_grad():
        model[4].bias.copy_(torch.tensor([9.0, -9.0]))  # always right
    shown = str(model)
    with pytest.raises(
        TrainingError, match=r"a neuron was asked for at '1', .* same size in all batches.*last="
    ):
        ca.protect(model, proact(tolerance=0.5), data, held_out, progress=False)
    assert str(model) == shown
    ca.protect(model, proact(tolerance=0.5, last="channel"), data, held_out, progress=False)
    assert tuple(ca.thresholds(model)["1.threshold"].shape) == (4, 1, 1)


def test_a_model_without_relu(task, proact):
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.GELU(), nn.Linear(4, 3))
    with pytest.raises(SelectionError, match="no ReLU"):
        ca.protect(model, proact(), task.train, task.validate, progress=False)


def test_outputs_that_are_no_logits(task, proact):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    with pytest.raises(TrainingError, match=r"shape \(16, 4, 2, 2\).*logits \(N, classes\)"):
        ca.protect(model, proact(), task.train, task.validate, progress=False)


@pytest.mark.parametrize("rate", [1e30])
def test_nan_in_a_stage_names_it_and_restores(task, proact, rate, unmoved):
    before, shown = unmoved.bits(task.model), str(task.model)
    method = proact(scalar=Descent(rate, epochs=2), tolerance=0.1)
    with pytest.raises(
        TrainingError, match=r"stage 2 of 3 \(5.threshold\) at decay 40.*NaN or infinite in epoch"
    ):
        protect(task, method)
    assert str(task.model) == shown
    assert unmoved.same(before, task.model)


@pytest.mark.parametrize("method", ["proact", "fitact"])
def test_interrupted_the_model_is_as_it_was(task, proact, method, unmoved, monkeypatch):
    before, shown = unmoved.bits(task.model), str(task.model)
    flags = [parameter.requires_grad for parameter in task.model.parameters()]
    count = 0

    def interrupt(*_):
        nonlocal count
        count += 1
        if count == 60:
            raise KeyboardInterrupt

    handle = task.model[0].register_forward_hook(interrupt)
    chosen = proact(cache=0) if method == "proact" else ca.methods.FitAct()
    with pytest.raises(KeyboardInterrupt):
        protect(task, chosen)
    handle.remove()
    assert count == 60
    assert str(task.model) == shown
    assert unmoved.same(before, task.model)
    assert [parameter.requires_grad for parameter in task.model.parameters()] == flags
    assert all("forward" not in module.__dict__ for module in task.model.modules())


def test_settings_that_make_no_sense():
    for nonsense in (
        lambda: Descent(rate=0.0, epochs=1),
        lambda: Descent(rate=math.nan, epochs=1),
        lambda: Descent(rate=0.1, epochs=-1),
        lambda: ca.training.Objective(labels=-1),
        lambda: ca.training.Objective(labels=0, teacher=0),
        lambda: ca.methods.Early(settled=1.0),
        lambda: ca.methods.ProAct(decays=(-1.0,)),
    ):
        with pytest.raises(TrainingError, match="asked for"):
            nonsense()
