"""What training thresholds asks of its data, whatever a loader gives."""

import pytest
import torch
from torch import nn

import clipact as ca
from clipact.errors import TrainingError
from clipact.methods._trained._data import read_sets
from clipact.training import Descent

FIT = ca.methods.FitAct(descent=Descent(rate=1e-2, epochs=1))


@pytest.fixture(params=["proact", "fitact"])
def method(request, proact):
    return proact(tolerance=0.1, decays=(0.4,)) if request.param == "proact" else FIT


def trained(task, method, train, validate):
    """The thresholds after training; the model is restored."""
    receipt = ca.protect(task.model, method, train, validate, progress=False)
    found = [each.detach().clone() for each in ca.thresholds(task.model).values()]
    receipt.restore()
    return found


def relabelled(batches, change):
    return [(images, change(labels)) for images, labels in batches]


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8])
def test_labels_in_any_whole_numbers(task, method, dtype):
    expected = trained(task, method, task.train, task.validate)
    train, validate = (relabelled(d, lambda y: y.to(dtype)) for d in (task.train, task.validate))
    assert all(map(torch.equal, trained(task, method, train, validate), expected))


def test_batches_without_samples_are_left_out(task, method):
    expected = trained(task, method, task.train, task.validate)
    nothing = (torch.empty(0, 1, 4, 4), torch.empty(0, dtype=torch.long))
    found = trained(task, method, [nothing, *task.train], [nothing, *task.validate])
    assert all(map(torch.equal, found, expected))
    with pytest.raises(TrainingError, match="the training data is empty"):
        trained(task, method, [nothing], task.validate)


@pytest.mark.parametrize("which", ["train", "validate"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y + 1, r"labels from 1 to 3, but the model has the classes 0 to 2"),
        (lambda y: y.masked_fill(y == 2, -100), "labels from -100 to 1"),
        (lambda y: y[:-1], r"rows of logits for a batch with (15|19) labels"),
        (lambda y: y.to(torch.complex64), "labels of torch.complex64"),
    ],
)
def test_labels_that_are_no_classes(task, method, which, change, message):
    data = {"train": task.train, "validate": task.validate}
    data[which] = relabelled(data[which], change)
    shown = str(task.model)
    with pytest.raises(TrainingError, match=message):
        trained(task, method, data["train"], data["validate"])
    assert str(task.model) == shown


@pytest.mark.parametrize("spoil", [lambda x, y: (x * torch.nan, y), lambda x, y: (x, (y + 1) % 3)])
def test_held_out_data_of_which_nothing_is_right(task, method, spoil):
    wrong = [spoil(images, labels) for images, labels in task.validate]
    shown = str(task.model)
    with pytest.raises(TrainingError, match=r"none of the 100 held-out samples correctly"):
        trained(task, method, task.train, wrong)
    assert str(task.model) == shown


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_thresholds_of_half_precision_models_train_in_full(task, method, dtype):
    task.model.to(dtype)
    train, validate = (
        [(images.to(dtype), labels) for images, labels in data]
        for data in (task.train, task.validate)
    )
    profile = ca.calibrate(task.model, [images for images, _ in train])
    found = trained(task, method, train, validate)
    starts = [profile[name].maximum() for name in ("2", "5")]
    for threshold, start in zip(found, starts, strict=False):
        assert threshold.dtype == torch.float32
        assert threshold.isfinite().all()
        assert not torch.equal(threshold, threshold.to(dtype).float())
        assert (threshold != start.float()).any()


def test_samples_along_another_axis_are_told_apart():
    class Sequences(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(2, 4), nn.Linear(4, 3)

        def forward(self, x):
            return self.two(self.one(x).relu()).mean(0)

    train, validate = ([(torch.randn(5, 8, 2), torch.arange(8) % 3)] for _ in range(2))
    sets = read_sets("ProAct", train, validate)
    assert len(sets.validate) == 1
    with pytest.raises(TrainingError, match="all 8 samples"):
        read_sets("ProAct", train, [(train[0][0].clone(), train[0][1])])
    model = Sequences()
    ca.protect(
        model,
        ca.methods.FitAct(granularity="layer", descent=Descent(1e-2, 1)),
        train,
        validate,
        progress=False,
    )
    assert len(ca.thresholds(model)) == 1
