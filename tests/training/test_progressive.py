"""A progression: the plan of its stages, what it changes meanwhile, and what is refused."""

import copy
import json

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

import clipact as ca
from clipact.errors import TrainingError
from clipact.training import first_last, last_first, progressive

NAMES = ["2.threshold", "5.threshold", "9.threshold"]


def names_of(progression):
    return [stage.names for stage in progression.stages]


def test_the_last_threshold_trains_first_unless_asked_otherwise(staged):
    thresholds = ca.thresholds(staged.network())
    assert list(thresholds) == NAMES
    assert names_of(progressive(thresholds)) == [[name] for name in reversed(NAMES)]
    assert names_of(progressive(thresholds, order=last_first)) == names_of(progressive(thresholds))
    assert names_of(progressive(thresholds, order=first_last)) == [[name] for name in NAMES]
    middle_out = progressive(thresholds, order=lambda names: [names[1], names[0], names[2]])
    assert names_of(middle_out) == [[NAMES[1]], [NAMES[0]], [NAMES[2]]]


def test_thresholds_with_equal_keys_train_together_where_the_first_of_them_would(staged):
    thresholds = ca.thresholds(staged.network())
    ends = progressive(thresholds, group=lambda name: name == NAMES[1])
    assert names_of(ends) == [[NAMES[2], NAMES[0]], [NAMES[1]]]
    assert names_of(progressive(thresholds, group=lambda _: None)) == [list(reversed(NAMES))]
    assert [str(stage) for stage in ends.stages] == [
        "stage 1 of 2 (9.threshold, 2.threshold)",
        "stage 2 of 2 (5.threshold)",
    ]


def test_all_thresholds_require_gradients_from_the_call_to_the_end(staged):
    model = staged.network()
    thresholds = ca.thresholds(model)
    thresholds[NAMES[1]].requires_grad_()
    flags = {name: each.requires_grad for name, each in model.named_parameters()}
    progression = progressive(thresholds, model=model)
    assert all(each.requires_grad for each in model.parameters())
    for _ in progression:
        assert all(each.requires_grad for each in model.parameters())
    assert {name: each.requires_grad for name, each in model.named_parameters()} == flags


@pytest.mark.parametrize("closing", [[0, 1], [1, 0]])
def test_two_open_on_the_same_thresholds_leave_them_as_found(staged, closing):
    model = staged.network().train()
    thresholds = ca.thresholds(model)
    thresholds[NAMES[1]].requires_grad_()
    flags = {name: each.requires_grad for name, each in model.named_parameters()}
    modes = [module.training for module in model.modules()]
    both = [progressive(thresholds, model=model) for _ in range(2)]
    model(staged.batches()[0][0])
    assert [module.training for module in model.modules()] == modes
    for which in closing:
        both[which].close()
        model(staged.batches()[0][0])
        assert [module.training for module in model.modules()] == modes
    assert {name: each.requires_grad for name, each in model.named_parameters()} == flags
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_one_that_another_was_closed_under_says_so_and_can_be_opened_again(staged):
    model = staged.network()
    thresholds = ca.thresholds(model)
    first, second = progressive(thresholds, model=model), progressive(thresholds, model=model)
    optimizer = AdamW(model.parameters(), lr=0.1)
    second.attach(optimizer)
    staged.update(model, optimizer, staged.batches()[0])
    first.close()
    before = staged.bits(model)
    with pytest.raises(
        TrainingError, match=r"9\.threshold does not require gradients .*close.. and open"
    ):
        staged.update(model, optimizer, staged.batches()[0])
    assert staged.changed(before, model) == set()
    second.close()
    second.open()
    staged.update(model, optimizer, staged.batches()[0])
    assert staged.changed(before, model) == set(second.stage.names)
    second.close()
    assert not any(each.requires_grad for each in thresholds.values())


def test_hooks_modes_and_flags_are_back_after_an_exception(staged):
    model = staged.network().train()
    model[1].eval()
    modes = [module.training for module in model.modules()]
    optimizer = AdamW(model.parameters())

    def fail():
        with progressive(ca.thresholds(model), model=model).attach(optimizer) as progression:
            for _ in progression:
                model(staged.batches()[0][0])
                raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [module.training for module in model.modules()] == modes
    assert not any(each.requires_grad for each in ca.thresholds(model).values())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert not optimizer._optimizer_step_pre_hooks


def test_a_frozen_threshold_keeps_no_gradient_with_which_an_optimizer_would_move_it(staged):
    model = staged.network()
    progression = progressive(ca.thresholds(model))
    model(staged.batches()[0][0]).sum().backward()
    progression.close()
    assert all(each.grad is None for each in ca.thresholds(model).values())
    assert model[0].weight.grad is not None


@pytest.mark.parametrize("optimizer_type", [SGD, AdamW])
def test_exactly_one_stage_moves_at_a_time(staged, optimizer_type):
    model = staged.network().train()
    progression = progressive(ca.thresholds(model), model=model)
    optimizer = optimizer_type(model.parameters(), lr=0.1, weight_decay=0.1)
    for stage in progression:
        with stage.gating(optimizer):
            for batch in staged.batches():
                before = staged.bits(model)
                staged.update(model, optimizer, batch)
                assert staged.changed(before, model) == set(stage.names)


def test_only_thresholds_have_changed_in_the_end(staged):
    model = staged.network().train()
    before = staged.bits(model)
    optimizer = AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    progression = progressive(ca.thresholds(model), model=model).attach(optimizer)
    for _ in progression:
        for batch in staged.batches():
            staged.update(model, optimizer, batch)
            model.train()
    assert staged.changed(before, model) == set(NAMES)


def test_without_a_model_weights_train_along(staged):
    model = staged.network().train()
    optimizer = SGD([*model.parameters()], lr=0.1)
    progression = progressive(ca.thresholds(model)).attach(optimizer)
    stage = progression.stage
    before = staged.bits(model)
    staged.update(model, optimizer, staged.batches()[0])
    changed = staged.changed(before, model)
    assert changed & set(NAMES) == set(stage.names)
    assert {"0.weight", "1.running_mean"} <= changed


def run(staged, stops=(), stages=3):
    """Train, and start again from what was saved wherever it stops."""
    model = staged.network().train()
    state = None
    for stop in (*stops, None):
        fresh = staged.network(seed=7).train()
        fresh.load_state_dict(model.state_dict())
        model = fresh
        progression = progressive(ca.thresholds(model), model=model)
        optimizer = AdamW(ca.thresholds(model).values(), lr=0.1, weight_decay=0.1)
        progression.attach(optimizer)
        if state is not None:
            progression.load_state_dict(json.loads(state[0]))
            optimizer.load_state_dict(state[1])
        for stage in progression:
            if stage.index == stop:
                break
            for batch in staged.batches():
                staged.update(model, optimizer, batch)
        state = json.dumps(progression.state_dict()), copy.deepcopy(optimizer.state_dict())
    return staged.bits(model)


def test_resumed_is_uninterrupted(staged):
    whole = run(staged)
    assert whole != staged.bits(staged.network())
    assert run(staged, stops=(1,)) == whole
    assert run(staged, stops=(0, 2, 3)) == whole


def test_a_loop_left_early_goes_on_with_the_same_stage_and_is_gated_again(staged):
    model = staged.network()
    optimizer = AdamW(model.parameters(), lr=0.1)
    progression = progressive(ca.thresholds(model), model=model).attach(optimizer)
    for stage in progression:
        if stage.index == 1:
            break
    assert not model[2].threshold.requires_grad
    assert not optimizer._optimizer_step_pre_hooks
    again = iter(progression)
    assert next(again) is progression.stages[1]
    before = staged.bits(model)
    staged.update(model, optimizer, staged.batches()[0])
    assert staged.changed(before, model) == {"5.threshold"}
    again.close()


def test_a_stage_may_be_ended_by_hand(staged):
    progression = progressive(ca.thresholds(staged.network()))
    seen = []
    for stage in progression:
        seen.append(stage.index)
        progression.advance()
    assert seen == [0, 1, 2]
    assert progression.done
    assert progression.stage is None
    assert progression.advance() is None
    assert list(progression) == []
    assert repr(progression) == "Progression of 3 stages, done"


def test_when_all_stages_are_done_everything_is_held(staged):
    model = staged.network()
    optimizer = AdamW(model.parameters(), lr=0.1)
    progression = progressive(ca.thresholds(model), model=model).attach(optimizer)
    for _ in range(3):
        progression.advance()
    before = staged.bits(model)
    staged.update(model, optimizer, staged.batches()[0])
    assert staged.changed(before, model) == set()


def test_a_stage_starts_without_the_gradients_that_were_gathered_before(staged):
    model = staged.network()
    thresholds = ca.thresholds(model)
    for stage in progressive(thresholds):
        assert all(each.grad is None for each in thresholds.values())
        optimizer = SGD(stage.parameters(), lr=0.1)  # clears only what it has
        for images, _ in staged.batches():
            model(images).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        assert sum(each.grad is not None for each in thresholds.values()) == 2


def test_a_state_of_other_thresholds_is_refused(staged):
    thresholds = ca.thresholds(staged.network())
    state = progressive(thresholds).state_dict()
    smaller = {name: thresholds[name] for name in NAMES[1:]}
    other = {**thresholds, NAMES[1]: nn.Parameter(torch.ones(7, 1, 1))}
    for progression, message in [
        (
            progressive(smaller),
            r"its stage 3 trains 2\.threshold of shape \(1,\), here it is nothing",
        ),
        (progressive(other), r"its stage 2 trains .*\(4, 1, 1\), here it is .*\(7, 1, 1\)"),
        (progressive(thresholds, order=first_last), "stage 1 trains 9.threshold"),
        (progressive(thresholds, group=len), "stage 1"),
    ]:
        with pytest.raises(TrainingError, match=message):
            progression.load_state_dict(state)
        assert progression.stage.index == 0


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (lambda names: names[1:], "misses 2.threshold; it must give each of the 3 thresholds once"),
        (lambda names: [*names, names[0]], "repeats 2.threshold"),
        (lambda names: ["x", *names[1:]], "misses 2.threshold; has unknown x"),
        (lambda names: [], "misses 2.threshold, 5.threshold, 9.threshold"),
    ],
)
def test_an_order_that_is_none_is_refused(staged, order, message):
    with pytest.raises(TrainingError, match=message):
        progressive(ca.thresholds(staged.network()), order=order)


def test_what_cannot_be_staged_is_refused_before_anything_changes(staged):
    model = staged.network()
    thresholds = ca.thresholds(model)
    tied = {**thresholds, "again": thresholds[NAMES[0]]}
    for make, message in [
        (lambda: progressive({}), "there are no thresholds to train"),
        (lambda: progressive(tied), "2.threshold and again are one parameter"),
        (
            lambda: progressive(thresholds, group=lambda name: [name]),
            "gave a list, which cannot be hashed",
        ),
        (
            lambda: progressive(thresholds, model=staged.network()),
            "2.threshold, .* is not in the model",
        ),
    ]:
        with pytest.raises(TrainingError, match=message):
            make()
    assert not any(each.requires_grad for each in thresholds.values())


def test_optimizers_that_would_not_train_or_not_hold_still_are_refused(staged):
    model = staged.network()
    early = AdamW(each for each in model.parameters() if each.requires_grad)
    progression = progressive(ca.thresholds(model))
    for optimizers, message in [
        (
            [early],
            "the optimizer lacks 9.threshold, 5.threshold, 2.threshold, which would not train",
        ),
        ([], "the optimizer lacks 9.threshold"),
        ([AdamW([model[2].threshold])], "the optimizer lacks 9.threshold, 5.threshold,"),
        ([torch.optim.LBFGS(model.parameters())], "LBFGS also moves"),
    ]:
        with pytest.raises(TrainingError, match=message):
            progression.attach(*optimizers)
    progression.attach(early, AdamW(ca.thresholds(model).values()))
