"""The training of some thresholds, by itself."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from clipact.errors import TrainingError
from clipact.nn import HyReLU
from clipact.training import Descent, Objective
from clipact.training._fit import Lesson, fit
from clipact.training._forwards import Forwards
from clipact.training._frozen import frozen
from clipact.training._labelled import Labelled
from clipact.training._objective import mean_square
from clipact.training._teacher import teacher_logits


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), HyReLU(torch.full((8,), 0.5)), nn.Linear(8, 3)).eval()


@pytest.fixture
def data(model):
    inputs = torch.randn(6, 10, 4)
    return [Labelled(x, torch.randint(0, 3, (10,))) for x in inputs]


def lesson(model, data, **settings):
    objective = Objective(**settings)
    teacher = teacher_logits(model, data) if objective.teacher else None
    return Lesson(Forwards(model, data), teacher, objective, mean_square, seed=5)


def test_the_loss_is_what_the_paper_writes_down(model, data):
    found = lesson(model, data, labels=0.8, teacher=0.1, penalty=0.3)
    model[1].threshold.data.fill_(0.2)
    logits = model(data[2].inputs)
    soft = found.teacher[2].softmax(1)
    expected = (
        0.8 * F.cross_entropy(logits, data[2].labels)
        - 0.1 * (soft * logits.log_softmax(1)).sum(1).mean()
        + 0.3 * 0.04
    )
    torch.testing.assert_close(found.loss(2, [model[1].threshold]), expected)


def test_it_goes_on_from_any_epoch_with_the_same_bits(model, data):
    threshold, descent = model[1].threshold, Descent(0.05, epochs=5, warmup=1, decay=0.1)
    start, learnt = threshold.detach().clone(), lesson(model, data)
    states = []

    def note(epoch):
        states.append(copy.deepcopy({**epoch.state(), "value": threshold.detach()}))
        return False

    with frozen(model):
        fit(learnt, [threshold], descent, note)
        end = threshold.detach().clone()
        assert not torch.equal(end, start)
        for state in states:
            threshold.data.copy_(state["value"])
            fit(learnt, [threshold], descent, lambda _: False, state)
            assert torch.equal(threshold, end)


def test_an_epoch_may_be_the_last(model, data):
    numbers = []
    with frozen(model):
        fit(
            lesson(model, data), [model[1].threshold], Descent(0.05, epochs=9),
            lambda epoch: numbers.append(epoch.number) or epoch.number == 3,
        )  # fmt: skip
    assert numbers == [1, 2, 3]


def test_every_batch_once_an_epoch_in_another_order(model, data):
    seen = []
    model.register_forward_pre_hook(lambda _, args: seen.append(float(args[0][0, 0])))
    with frozen(model):
        fit(
            lesson(model, data, teacher=0.0),
            [model[1].threshold],
            Descent(0.05, epochs=2),
            lambda _: False,
        )
    first, second = seen[:6], seen[6:]
    assert sorted(first) == sorted(second) == sorted(float(each.inputs[0, 0]) for each in data)
    assert first != second


def test_nan_is_found_at_the_end_of_the_epoch(model, data):
    data[3].inputs.fill_(torch.nan)
    model[2].weight.data[0, 0] = torch.inf
    with (
        frozen(model),
        pytest.raises(TrainingError, match="the loss became NaN or infinite in epoch 1"),
    ):
        fit(lesson(model, data), [model[1].threshold], Descent(0.05, epochs=2), lambda _: False)
    assert not model[1].threshold.requires_grad
    assert model[1].threshold.grad is None
