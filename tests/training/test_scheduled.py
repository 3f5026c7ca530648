"""Values that follow a schedule: levels, slopes and functions; optimizers; the step as the only state."""

import math

import pytest
import torch
from torch import nn
from torch.optim import SGD

import clipact as ca
from clipact.errors import ScheduleError
from clipact.schedules import constant, cosine, exponential, linear
from clipact.training import Levels, Scheduled, Slopes


@pytest.fixture
def model(staged):
    model = staged.network()
    with torch.no_grad():
        model[5].threshold.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(4, 1, 1))
    return model


def test_levels_follow_the_schedule_from_its_first_value(model):
    thresholds = ca.thresholds(model)
    scheduled = Scheduled(Levels(thresholds), linear(6.0, 2.0, steps=4))
    for value in (6.0, 5.0, 4.0, 3.0, 2.0, 2.0):
        assert scheduled.value == value
        assert all(bool((each == value).all()) for each in thresholds.values())
        scheduled.step()
    assert [each.shape for each in thresholds.values()] == [(1,), (4, 1, 1), (8,)]


def test_relative_levels_multiply_what_was_there(model):
    threshold = model[5].threshold
    scheduled = Scheduled(Levels({"5.threshold": threshold}, relative=True), linear(1.0, 0.0, 4))
    assert threshold.flatten().tolist() == [1, 2, 3, 4]
    scheduled.step()
    scheduled.step()
    assert threshold.flatten().tolist() == [0.5, 1, 1.5, 2]
    assert torch.equal(model[2].threshold, torch.ones(1))


def test_levels_keep_dtype_and_flags(model):
    model.to(torch.bfloat16)
    threshold = model[2].threshold.requires_grad_()
    Scheduled(Levels({"2.threshold": threshold}, relative=True), constant(0.3))
    assert threshold.dtype == torch.bfloat16
    assert threshold.requires_grad
    assert threshold.is_leaf
    assert torch.equal(threshold.detach(), torch.tensor([0.3]).bfloat16())


def test_slopes_anneal_until_the_smooth_activation_is_the_hard_one(model):
    scheduled = Scheduled(Slopes(model), exponential(5.0, 1e6, steps=3))
    assert {model[index].slope for index in (2, 5, 9)} == {5.0}
    x = torch.tensor([0.5, 0.999, 1.001, 3.0])
    assert model[2](x)[-1] > 1e-6
    for _ in range(3):
        scheduled.step()
    assert model[2].slope == 1e6
    assert torch.equal(model[2](x), model[2].harden()(x))


def test_any_function_of_a_value_is_scheduled():
    seen = []
    scheduled = Scheduled(seen.append, cosine(0.9, 0.5, steps=2))
    scheduled.step()
    scheduled.step()
    assert seen == pytest.approx([0.9, 0.7, 0.5])
    assert repr(scheduled) == "Scheduled(cosine(0.9, 0.5, 2), step 2, value 0.5)"


def test_attached_it_steps_after_each_update_and_no_longer_when_closed(staged, model):
    optimizer = SGD([*model[0].parameters()], lr=0.1)
    scheduled = Scheduled(Levels(ca.thresholds(model)), linear(6.0, 2.0, 4)).attach(optimizer)
    for value in (5.0, 4.0):
        staged.update(model, optimizer, staged.batches()[0])
        assert model[2].threshold.item() == value
    with pytest.raises(ScheduleError, match=r"attached to an optimizer already.*two steps"):
        scheduled.attach(optimizer)
    scheduled.close()
    staged.update(model, optimizer, staged.batches()[0])
    assert scheduled.value == 4.0


def test_a_threshold_that_an_optimizer_trains_is_refused(staged, model):
    thresholds = ca.thresholds(model)
    optimizer = SGD(model.parameters(), lr=0.1)
    scheduled = Scheduled(Levels(thresholds), constant(1.0))
    scheduled.attach(optimizer)  # in its list, but frozen: it does not train them
    staged.update(model, optimizer, staged.batches()[0])
    thresholds["5.threshold"].requires_grad_()
    with pytest.raises(ScheduleError, match=r"5\.threshold follows a schedule"):
        Scheduled(Levels(thresholds), constant(1.0)).attach(optimizer)
    with pytest.raises(ScheduleError, match=r"5\.threshold follows a schedule"):
        staged.update(model, optimizer, staged.batches()[0])
    other = SGD(model[0].parameters(), lr=0.1)
    Scheduled(Levels(thresholds), constant(1.0)).attach(other)
    Scheduled(Slopes(model), constant(1.0)).attach(optimizer)


@pytest.mark.parametrize("relative", [False, True])
def test_resumed_is_uninterrupted(staged, relative):
    def start():
        model = staged.network().train()
        optimizer = SGD(model.parameters(), lr=0.1)
        levels = Levels(ca.thresholds(model), relative=relative)
        return model, optimizer, Scheduled(levels, cosine(0.9, 0.3, 5)).attach(optimizer)

    whole, optimizer, _ = start()
    for batch in staged.batches(6):
        staged.update(whole, optimizer, batch)
    first, optimizer, scheduled = start()
    for batch in staged.batches(6)[:2]:
        staged.update(first, optimizer, batch)
    state = scheduled.state_dict()
    assert state == {"step": 2}
    second, optimizer, scheduled = start()
    second.load_state_dict(first.state_dict())
    scheduled.load_state_dict(state)
    for batch in staged.batches(6)[2:]:
        staged.update(second, optimizer, batch)
    assert staged.bits(second) == staged.bits(whole)


def test_a_resumed_slope_is_written_since_no_state_has_it(staged):
    model = staged.network()
    scheduled = Scheduled(Slopes(model), linear(5.0, 20.0, 3))
    scheduled.load_state_dict({"step": 2})
    assert model[2].slope == 15.0


def test_factors_are_not_multiplied_twice_by_resuming(staged):
    model = staged.network()
    scheduled = Scheduled(Levels(ca.thresholds(model), relative=True), linear(1.0, 0.5, 2))
    scheduled.step()
    late = Scheduled(Levels(ca.thresholds(model), relative=True), linear(1.0, 0.5, 2))
    with pytest.raises(ScheduleError, match=r"2\.threshold is not 0\.75 times what it was"):
        late.load_state_dict(scheduled.state_dict())
    assert late.state_dict() == {"step": 0}


def test_what_has_no_meaning_is_refused(model):
    endless = {"t": nn.Parameter(torch.tensor([1.0, math.inf]))}
    for make, message in [
        (lambda: Levels({}), "no thresholds to schedule"),
        (lambda: Levels(endless, relative=True), "t is not finite"),
        (lambda: Slopes(nn.ReLU()), "no activation in the ReLU has a slope"),
        (lambda: Slopes(ca.nn.ZeroedReLU(1.0)), "no activation in the ZeroedReLU"),
        (lambda: Scheduled(Slopes(model), constant(0.0)), r"a slope of 0\.0 has no meaning"),
        (lambda: Scheduled(Slopes(model), constant(math.inf)), "a slope of inf"),
        (lambda: Scheduled(print, lambda step: math.nan), "gives NaN at step 0"),
    ]:
        with pytest.raises(ScheduleError, match=message):
            make()
    Levels(endless)(2.0)
    assert endless["t"].tolist() == [2, 2]
