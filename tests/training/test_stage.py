"""A stage: its gate by hand, in the optimizer's step and through closures; frozen norms."""

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

import clipact as ca
from clipact.errors import TrainingError
from clipact.training import frozen_norms, progressive


def loss_of(model, batch):
    images, labels = batch
    return nn.functional.cross_entropy(model(images), labels)


@pytest.fixture
def model(staged):
    return staged.network().train()


@pytest.fixture
def stage(model):
    return progressive(ca.thresholds(model), model=model).stage


def test_the_gate_keeps_the_stages_gradients_and_drops_all_others(staged, model, stage):
    loss_of(model, staged.batches()[0]).backward()
    assert all(each.grad is not None for each in model.parameters())
    kept = stage.parameters()[0].grad.clone()
    stage.gate()
    assert [name for name, each in model.named_parameters() if each.grad is not None] == stage.names
    assert torch.equal(stage.parameters()[0].grad, kept)


def test_gating_serves_an_optimizer_with_a_closure(staged, model, stage):
    optimizer = AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    before = staged.bits(model)
    expected = loss_of(model, staged.batches()[0])

    def closure():
        optimizer.zero_grad()
        loss = loss_of(model, staged.batches()[0])
        loss.backward()
        return loss

    with stage.gating(optimizer):
        assert torch.equal(optimizer.step(closure), expected)
        optimizer.step(closure=closure)
    assert staged.changed(before, model) == set(stage.names)
    optimizer.step(closure)
    assert "0.weight" in staged.changed(before, model)


def test_gating_ends_with_the_block_also_after_an_exception(model, stage):
    optimizer = AdamW(model.parameters())
    with pytest.raises(KeyError), stage.gating(optimizer):
        raise KeyError
    assert not optimizer._optimizer_step_pre_hooks


def test_gating_an_optimizer_without_the_stages_thresholds_is_refused(model, stage):
    others = [each for name, each in model.named_parameters() if name not in stage.names]
    with pytest.raises(TrainingError, match=r"lacks 9\.threshold"), stage.gating(SGD(others)):
        pass


def test_a_stage_without_any_gradient_is_refused(staged, model, stage):
    with pytest.raises(TrainingError, match=r"stage 1 of 3 \(9.threshold\) has no gradient"):
        stage.gate()
    loss_of(model, staged.batches()[0]).backward()
    stage.gate()
    model.zero_grad()
    stage.gate()  # later steps may skip a threshold, as in a mixture of experts


def test_momentum_of_earlier_stages_does_not_move_them(staged, model):
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    first, second, _ = progressive(ca.thresholds(model), model=model).stages
    with first.gating(optimizer):
        staged.update(model, optimizer, staged.batches()[0])
    before = staged.bits(model)
    with second.gating(optimizer):
        staged.update(model, optimizer, staged.batches()[0])
    assert staged.changed(before, model) == set(second.names)


def test_gradient_clipping_sees_the_stage_alone(staged, model, stage):
    loss_of(model, staged.batches()[0]).backward()
    alone = stage.parameters()[0].grad.norm().item()
    assert nn.utils.clip_grad_norm_(model.parameters(), 1e9).item() > alone
    stage.gate()
    assert nn.utils.clip_grad_norm_(model.parameters(), 1e9).item() == pytest.approx(alone)


def test_gating_serves_a_gradient_scaler(staged, model, stage):
    optimizer = AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    before = staged.bits(model)
    with stage.gating(optimizer):
        for batch in staged.batches():
            optimizer.zero_grad()
            scaler.scale(loss_of(model, batch)).backward()
            scaler.step(optimizer)
            scaler.update()
    assert staged.changed(before, model) == set(stage.names)


class TestFrozenNorms:
    def test_statistics_stay_and_modes_are_as_the_loop_sets_them(self, staged, model):
        images = staged.batches()[0][0]
        before = staged.bits(model)
        expected = staged.network().eval()(images)
        with frozen_norms(model) as names:
            assert names == ["1", "4"]
            assert torch.equal(model.train()(images), expected)
            assert model[1].training
        assert staged.changed(before, model) == set()
        model(images)
        assert staged.changed(before, model) == {
            f"{layer}.{name}"
            for layer in "14"
            for name in ("running_mean", "running_var", "num_batches_tracked")
        }

    def test_modes_are_back_after_an_exception_in_the_layer(self, model):
        with frozen_norms(model), pytest.raises(ValueError, match="4D"):
            model[1](torch.ones(2, 4))
        assert model[1].training
        assert not model[1]._forward_hooks

    def test_a_model_without_statistics_is_left_alone(self):
        with frozen_norms(nn.Sequential(nn.LayerNorm(3))) as names:
            assert names == []

    def test_a_compiled_model_keeps_its_statistics_too(self, staged, model):
        images = staged.batches()[0][0]
        before = staged.bits(model)
        with frozen_norms(model):
            compiled = torch.compile(model, backend="eager")
            compiled(images)
        assert staged.changed(before, model) == set()
