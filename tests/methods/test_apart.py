"""Held-out data is told from the training data by what is in it, whatever loader it comes from."""

import pytest
import torch
from torch import nn

import clipact as ca
from clipact.errors import CalibrationError
from clipact.methods._samples import sample_digests

METHODS = [
    ca.methods.BudgetedPercentile(budget=0.1),
    ca.methods.FTClipAct(rates=(1e-3,), trials=1, rounds=1, least_rounds=1),
    ca.methods.FaultTuned(budget=0.1, rates=(1e-3,), trials=1, passes=0),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_held_out_samples_that_were_all_trained_on(task, method):
    shown = str(task.model)
    images = torch.cat([images for images, _ in task.train])
    again = [(x.clone(), y) for x, y in reversed(task.train)]
    part = [(task.train[0][0][3:].clone(), task.train[0][1][3:])]
    for train, validate in [
        (task.train, again),
        (task.train, part),
        (images, again),  # one batch without labels
        ((x for x, _ in task.train), again),  # a generator is read once
    ]:
        name = type(method).__name__
        with pytest.raises(CalibrationError, match=rf"all \d+ samples that {name}.. was given"):
            ca.protect(task.model, method, train, validate, progress=False)
        assert str(task.model) == shown


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_one_sample_that_is_new_is_enough(task, method):
    mixed = [*task.train[:1], (task.validate[0][0][:1], task.validate[0][1][:1])]
    receipt = ca.protect(task.model, method, iter(task.train), mixed, progress=False)
    assert receipt.history


def test_inputs_and_labels_by_name(task):
    class Named(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, pixels):
            return self.inner(pixels)

    def named(batches):
        return [{"pixels": x.clone(), "labels": y} for x, y in batches]

    plain = [{"pixels": x} for x, _ in task.train]
    for train, validate in [(plain, named(task.train)), (plain, named(task.train)[1:])]:
        with pytest.raises(CalibrationError, match="among its training data"):
            ca.protect(Named(task.model), METHODS[0], train, validate, progress=False)
    model = Named(task.model)
    assert ca.protect(model, METHODS[0], plain, named(task.validate), progress=False).history


def test_views_that_conjugate_or_negate_are_known_by_their_values():
    x = torch.randn(4, 3, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    for view in (x.conj(), x.conj().imag, torch._neg_view(x.real.contiguous())):
        found = sample_digests(view, 4)
        assert found == sample_digests(view.resolve_conj().resolve_neg().clone(), 4)
        assert len(set(found)) == 4
