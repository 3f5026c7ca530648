"""Stopped and resumed: the same bits; and not with something else."""

import numpy as np
import pytest
import torch
from torch import nn

import clipact as ca
from clipact.errors import TrainingError
from clipact.methods._trained import _descending, _ledger

Descent = ca.training.Descent


def protect(task, method):
    return ca.protect(task.model, method, task.train, task.validate, progress=False)


def values(model):
    return {name: each.detach().clone() for name, each in ca.thresholds(model).items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def outcome(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def stop_after(monkeypatch, owner, name, calls):
    """Ctrl-C once so many checkpoints are written."""
    real = getattr(owner, name)
    done = 0

    def save(self, state):
        nonlocal done
        real(self, state)
        done += 1
        if done == calls:
            raise KeyboardInterrupt

    monkeypatch.setattr(owner, name, save)


def stop_and_go(task, method, monkeypatch, stops):
    """Stop after so many checkpoints, go on and stop again, and in the end go on to the end."""
    for calls in stops:
        with monkeypatch.context() as patch:
            stop_after(patch, _ledger.CheckpointFile, "save", calls)
            with pytest.raises(KeyboardInterrupt):
                protect(task, method)
        assert not ca.thresholds(task.model)
    return protect(task, method)


@pytest.mark.parametrize("early", [None, ca.methods.Early()])
def test_proact_resumed_is_as_never_stopped(task, proact, tmp_path, monkeypatch, early):
    receipt = protect(task, proact(tolerance=0.1, early=early))
    expected, history = values(task.model), outcome(receipt.history)
    receipt.restore()
    for stops in ([1], [2, 1, 2, 2]):  # the second is stopped after 2, 3, 5 and 7 checkpoints
        folder = tmp_path / f"{len(stops)} stops" / "deep"
        method = proact(tolerance=0.1, early=early, checkpoint=folder / "run.pt")
        receipt = stop_and_go(task, method, monkeypatch, stops)
        assert same(values(task.model), expected)
        assert outcome(receipt.history) == history
        assert [path.name for path in folder.iterdir()] == ["run.pt"]
        receipt.restore()


def test_a_finished_training_is_only_loaded(task, proact, tmp_path):
    method = proact(tolerance=0.1, checkpoint=str(tmp_path / "run.pt"))
    receipt = protect(task, method)
    expected = values(task.model)
    receipt.restore()
    calls = []
    handle = task.model.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    assert outcome(protect(task, method).history) == outcome(receipt.history)
    handle.remove()
    assert same(values(task.model), expected)
    assert not any(calls)


def test_a_checkpoint_with_decays_of_numpy_can_be_read(task, proact, tmp_path):
    method = proact(tolerance=0.1, decays=np.array([4.0, 0.4]), checkpoint=tmp_path / "run.pt")
    receipt = protect(task, method)
    receipt.restore()
    assert outcome(protect(task, method).history) == outcome(receipt.history)


@pytest.mark.parametrize("stops", [1, 4])
def test_fitact_resumed_is_as_never_stopped(task, tmp_path, monkeypatch, stops):
    descent = Descent(1e-2, epochs=6, decoupled=False)
    receipt = protect(task, ca.methods.FitAct(descent=descent))
    expected, history = values(task.model), outcome(receipt.history)
    receipt.restore()
    method = ca.methods.FitAct(descent=descent, checkpoint=tmp_path / "run.pt")
    with monkeypatch.context() as patch:
        stop_after(patch, _descending.CheckpointFile, "save", stops)
        with pytest.raises(KeyboardInterrupt):
            protect(task, method)
    receipt = protect(task, method)
    assert same(values(task.model), expected)
    assert outcome(receipt.history) == history


def test_another_training_is_refused_and_the_difference_named(task, proact, tmp_path):
    method = proact(tolerance=0.1, checkpoint=tmp_path / "run.pt")
    protect(task, method).restore()
    shown = str(task.model)
    cases = []

    def weights():
        task.model[8].weight.data.mul_(1.5)
        return method

    def images():
        task.train[0][0].add_(1e-3)
        return method

    cases = [
        (lambda: proact(tolerance=0.2, checkpoint=method.checkpoint), "tolerance was 0.1 and is 0.2"),
        (lambda: proact(tolerance=0.1, last="layer", checkpoint=method.checkpoint), "last was 'neuron'|last was <"),
        (weights, "the weights differ in 8.weight"),
        (images, "the data differ in train .a loader that shuffles"),
    ]  # fmt: skip
    for change, message in cases:
        with pytest.raises(TrainingError, match=f"is of another training: .*{message}"):
            protect(task, change())
        assert str(task.model) == shown


def test_other_sites_are_another_training(task, proact, tmp_path):
    method = proact(tolerance=0.1, checkpoint=tmp_path / "run.pt")
    protect(task, method).restore()
    with pytest.raises(TrainingError, match=r"of the sites, 2 is gone"):
        ca.protect(
            task.model, method, task.train, task.validate,
            where=ca.where.named("5") | ca.where.named("9"), progress=False,
        )  # fmt: skip


def test_other_modules_at_the_sites_are_another_training(task, proact, tmp_path):
    method = proact(tolerance=0.1, checkpoint=tmp_path / "run.pt")
    protect(task, method).restore()
    kinds = (*ca.ACTIVATIONS, nn.Linear)
    with pytest.raises(TrainingError, match="of the sites, 8, 10 are new"):
        ca.protect(task.model, method, task.train, task.validate, kinds=kinds, progress=False)


def test_a_granularity_by_its_name_is_the_same(task, proact, tmp_path):
    path = tmp_path / "run.pt"
    protect(task, proact(tolerance=0.1, last="neuron", checkpoint=path)).restore()
    again = protect(task, proact(tolerance=0.1, last=ca.Granularity.NEURON, checkpoint=path))
    assert again.history


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"hello world", None])
def test_a_file_that_is_something_else(task, proact, tmp_path, content):
    path = tmp_path / "run.pt"
    if content is None:
        torch.save({"weights": torch.ones(2)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"run\.pt is (no|not a) checkpoint"):
        protect(task, proact(checkpoint=path))
    assert not ca.thresholds(task.model)
