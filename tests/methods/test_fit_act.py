"""FitAct: every neuron its threshold, all at once, nothing else moved."""

import pytest
import torch
import torch.nn.functional as F

import clipact as ca
from clipact.errors import TrainingError

Descent = ca.training.Descent


def protect(task, method):
    return ca.protect(task.model, method, task.train, task.validate, progress=False)


def test_a_threshold_a_neuron_and_nothing_else_moves(task, unmoved):
    before = unmoved.bits(task.model)
    receipt = protect(task, ca.methods.FitAct(descent=Descent(1e-2, epochs=3, decoupled=False)))
    found = ca.thresholds(task.model)
    assert [tuple(each.shape) for each in found.values()] == [(4, 4, 4), (6, 4, 4), (8,)]
    assert unmoved.same(before, task.model)
    assert not any(each.requires_grad for each in found.values())
    assert [row["epoch"] for row in receipt.history] == [1, 2, 3]
    assert receipt.history[-1]["loss"] < receipt.history[0]["loss"]
    receipt.restore()
    assert not ca.thresholds(task.model)


def test_the_first_step_is_that_of_the_loss_written_down(task):
    """Adam's first step is the learning rate times the sign of the gradient."""
    batches = [images for images, _ in task.train]
    profile = ca.calibrate(task.model, batches)
    starts = [profile[name].maximum("neuron") for name in ("2", "5", "9")]
    receipt = ca.replace_activations(
        task.model,
        lambda site: ca.nn.HyReLU(profile[site.name].maximum("neuron")),
        example=batches[0],
    )
    thresholds = list(ca.thresholds(task.model).values())
    for threshold in thresholds:
        threshold.requires_grad_(True)
    images, labels = (torch.cat(each) for each in zip(*task.train, strict=True))
    loss = F.cross_entropy(task.model(images), labels)
    shares = [
        t.square().mean() / s.square().mean() for t, s in zip(thresholds, starts, strict=True)
    ]
    (loss + 0.5 * torch.stack(shares).mean()).backward()
    grads = [threshold.grad for threshold in thresholds]
    receipt.restore()
    method = ca.methods.FitAct(penalty=0.5, descent=Descent(1e-3, epochs=1, decoupled=False))
    ca.protect(task.model, method, [(images, labels)], task.validate, progress=False)
    for now, start, grad in zip(ca.thresholds(task.model).values(), starts, grads, strict=True):
        clear = grad.abs() > 1e-5
        assert clear.any()
        torch.testing.assert_close(
            (now - start)[clear], -1e-3 * grad.sign()[clear], rtol=0.01, atol=1e-6
        )


def test_a_strong_penalty_shrinks_and_none_does_not(task):
    scales = {}
    for penalty in (0.0, 10.0):
        method = ca.methods.FitAct(
            penalty=penalty, descent=Descent(1e-2, epochs=5, decoupled=False)
        )
        receipt = protect(task, method)
        scales[penalty] = receipt.history[-1]["scale"]
        receipt.restore()
    assert scales[10.0] < 0.98 < scales[0.0]


def test_granularity_slope_and_guard(task):
    protect(
        task,
        ca.methods.FitAct(
            granularity="channel", slope=ca.methods.RelativeSlope(5, 50), output_guard=True,
            descent=Descent(1e-2, epochs=2),
        ),
    )  # fmt: skip
    assert tuple(ca.thresholds(task.model)["2.threshold"].shape) == (4, 1, 1)
    assert task.model[2].slope == 50
    assert isinstance(task.model.output_guard, ca.nn.OutputGuard)


def test_without_epochs_the_thresholds_are_the_maxima(task):
    profile = ca.calibrate(task.model, [images for images, _ in task.train])
    receipt = protect(task, ca.methods.FitAct(descent=Descent(1e-3, epochs=0)))
    assert list(receipt.history) == []
    assert str(receipt.history) == "nothing was trained"
    assert torch.equal(task.model[5].threshold.data, profile["5"].maximum("neuron"))


def test_nan_is_named_and_the_model_restored(task):
    shown = str(task.model)
    with pytest.raises(TrainingError, match=r"FitAct: .* NaN or infinite in epoch 1"):
        protect(task, ca.methods.FitAct(descent=Descent(1e30, epochs=2, decay=1.0)))
    assert str(task.model) == shown
