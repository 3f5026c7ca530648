"""A pacer: stages of so many epochs or updates, in a loop that only tells it what happens."""

import copy

import pytest
from torch.optim import AdamW

import clipact as ca
from clipact.errors import TrainingError
from clipact.training import Pacer, progressive


def paced(model, **length):
    return Pacer(progressive(ca.thresholds(model), model=model), **length)


def test_epochs_end_stages(staged):
    pacer = paced(staged.network(), epochs=2)
    seen = []
    while not pacer.done:
        seen.append(pacer.progression.stage.index)
        pacer.after_optimizer_step()
        pacer.epoch_end()
    assert seen == [0, 0, 1, 1, 2, 2]
    assert pacer.total == 6
    pacer.epoch_end()
    assert pacer.done


def test_updates_end_stages_counted_by_the_optimizer_itself(staged):
    model = staged.network()
    optimizer = AdamW(model.parameters(), lr=0.1)
    pacer = paced(model, steps=lambda stage: stage.parameters()[0].numel() // 4 + 1).attach(
        optimizer
    )
    assert pacer.lengths == (3, 2, 1)
    moved = []
    for _ in range(8):
        before = staged.bits(model)
        staged.update(model, optimizer, staged.batches()[0])
        pacer.epoch_end()
        moved.append(staged.changed(before, model))
    assert moved == [{"9.threshold"}] * 3 + [{"5.threshold"}] * 2 + [{"2.threshold"}] + [set()] * 2
    pacer.close()
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    assert not model[2].threshold.requires_grad


def test_the_loop_may_tell_it_of_each_update(staged):
    model = staged.network()
    optimizer = AdamW(model.parameters(), lr=0.1)
    pacer = paced(model, steps=1)
    images, _ = staged.batches()[0]
    for name in ("9.threshold", "5.threshold", "2.threshold"):
        before = staged.bits(model)
        model(images).square().sum().backward()
        pacer.before_optimizer_step()
        optimizer.step()
        pacer.after_optimizer_step()
        assert staged.changed(before, model) == {name}
    assert pacer.done


def test_resumed_in_the_middle_of_a_stage_is_uninterrupted(staged):
    def run(parts):
        states = None
        for part in parts:
            model = staged.network()
            optimizer = AdamW(ca.thresholds(model).values(), lr=0.1)
            pacer = paced(model, steps=2).attach(optimizer)
            if states is not None:
                for owner, state in zip((model, optimizer, pacer), states, strict=True):
                    owner.load_state_dict(state)
            for batch in part:
                staged.update(model, optimizer, batch)
            states = [copy.deepcopy(owner.state_dict()) for owner in (model, optimizer, pacer)]
        return staged.bits(model)

    every = staged.batches(6)
    assert run([every[:3], every[3:]]) == run([every])
    assert run([every[:1], every[1:5], every[5:]]) == run([every])


def test_training_that_ends_early_says_so_in_the_log(staged, caplog):
    pacer = paced(staged.network(), epochs=1)
    pacer.epoch_end()
    pacer.close()
    assert "threshold training ended in stage 2 of 3 (5.threshold)" in caplog.text


@pytest.mark.parametrize(
    ("length", "message"),
    [
        ({}, "epochs=None and steps=None; give one of them"),
        ({"epochs": 1, "steps": 2}, "epochs=1 and steps=2"),
        ({"epochs": 0}, r"a length of 0 for stage 1 of 3 \(9.threshold\)"),
        ({"steps": lambda stage: 1 - stage.index}, r"a length of 0 for stage 2 of 3"),
        ({"epochs": 1.5}, r"a length of 1\.5"),
    ],
)
def test_lengths_without_a_meaning_are_refused(staged, length, message):
    with pytest.raises(TrainingError, match=message):
        paced(staged.network(), **length)


def test_a_state_of_something_else_is_refused(staged):
    model = staged.network()
    progression = progressive(ca.thresholds(model))
    pacer = Pacer(progression, epochs=1)
    state = pacer.state_dict()
    for other in ({}, progression.state_dict(), {"model": 1}):
        with pytest.raises(TrainingError, match=r"what state_dict.. of a pacer returned"):
            pacer.load_state_dict(other)
    for other in (
        {},
        state,
        {**state["progression"], "stage": 4},
        {**state["progression"], "stage": -1},
    ):
        with pytest.raises(TrainingError, match=r"what state_dict.. of a progression returned"):
            progression.load_state_dict(other)
    assert progression.stage is progression.stages[0]
