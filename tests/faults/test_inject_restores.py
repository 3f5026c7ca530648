import copy
import pickle

import pytest
import torch
from torch import nn

from clipact.errors import FaultError, SelectionError
from clipact.faults import Biases, BitFlip, Buffers, FixedPoint, Thresholds, Weights, inject
from clipact.faults._memory._patch import Patch
from clipact.where import named

ALL = Weights() | Biases() | Buffers()


def changed_then_raise(model, before, same_bits, error):
    assert not same_bits(model, before)
    raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_restored_after_an_exception(model, bits_of, same_bits, error):
    before = bits_of(model)
    with pytest.raises(error), inject(model, BitFlip(rate=0.01), ALL):
        changed_then_raise(model, before, same_bits, error)
    assert same_bits(model, before)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_restored_when_applying_fails_half_way(model, bits_of, same_bits, monkeypatch, error):
    before, applied, original = bits_of(model), [], Patch.apply

    def apply(self):
        original(self)
        applied.append(self)
        if len(applied) == 2:
            raise error

    monkeypatch.setattr(Patch, "apply", apply)
    with pytest.raises(error), inject(model, BitFlip(rate=0.1), ALL):
        pytest.fail("never entered")
    assert len(applied) == 2
    assert same_bits(model, before)


def test_restored_when_a_second_interrupt_comes_while_restoring(
    model, bits_of, same_bits, monkeypatch
):
    before, calls, original = bits_of(model), [], Patch.restore

    def restore(self):
        calls.append(self)
        if len(calls) == 2:
            raise KeyboardInterrupt
        original(self)

    monkeypatch.setattr(Patch, "restore", restore)
    with pytest.raises(KeyboardInterrupt), inject(model, BitFlip(rate=0.1), ALL):
        pass
    assert same_bits(model, before)


def test_restored_when_the_block_is_abandoned(model, bits_of, same_bits):
    before = bits_of(model)

    def generator():
        with inject(model, BitFlip(rate=0.01), ALL):
            yield

    running = generator()
    next(running)
    assert not same_bits(model, before)
    del running
    assert same_bits(model, before)


def test_nothing_is_touched_when_the_request_is_wrong(model, bits_of, same_bits):
    before = bits_of(model)
    for kwargs in (
        {"seed": 0.5},
        {"trial": -1},
        {"trial": True},
        {"format": FixedPoint(), "target": Buffers()},
    ):
        with (
            pytest.raises(FaultError),
            inject(model, BitFlip(rate=0.1), **{"target": ALL, **kwargs}),
        ):
            pytest.fail("never entered")
    with pytest.raises(FaultError), inject(model, BitFlip(count=10**9), ALL):
        pytest.fail("never entered")
    with pytest.raises(SelectionError), inject(model, BitFlip(count=1), Thresholds()):
        pytest.fail("never entered")
    assert same_bits(model, before)


def test_nested_on_one_tensor_is_refused(model, bits_of, same_bits):
    before = bits_of(model)
    with inject(model, BitFlip(count=1), Weights(where=named("0.*"))):
        with (
            pytest.raises(FaultError, match=r"0\.weight has faults from another"),
            inject(model, BitFlip(count=1), Weights()),
        ):
            pytest.fail("never entered")
        with (
            pytest.raises(FaultError, match="weight has faults"),
            inject(model[0], BitFlip(count=1), Weights()),
        ):
            pytest.fail("never entered")
        with inject(model, BitFlip(count=1), Weights(where=named("4.*")) | Biases()):
            pass
    with inject(model, BitFlip(count=1), Weights()):
        pass
    assert same_bits(model, before)


def test_nested_is_seen_through_tied_storages():
    a, b = nn.Linear(3, 2, bias=False), nn.Linear(2, 3, bias=False)
    b.weight = nn.Parameter(a.weight.detach().t())
    with (
        inject(a, BitFlip(count=1), Weights()),
        pytest.raises(FaultError, match="another inject"),
        inject(b, BitFlip(count=1), Weights()),
    ):
        pytest.fail("never entered")


def test_a_copy_made_inside_is_free(model):
    with inject(model, BitFlip(count=1), Weights()):
        twin = copy.deepcopy(model)
        again = pickle.loads(pickle.dumps(model))
        for other in (twin, again):
            with inject(other, BitFlip(count=1), Weights()):
                pass


def test_autograd_works_inside_and_parameters_stay_the_same_objects(model):
    model.eval()
    ids = [id(p) for p in model.parameters()]
    images = torch.randn(4, 3, 8, 8)
    with inject(model, BitFlip(count=5), Weights(), seed=1):
        assert ids == [id(p) for p in model.parameters()]
        assert all(p.is_leaf and p.requires_grad for p in model.parameters())
        model(images).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    assert ids == [id(p) for p in model.parameters()]


def test_backward_across_the_edge_is_refused_by_autograd(model):
    images = torch.randn(4, 3, 8, 8, requires_grad=True)
    with inject(model, BitFlip(rate=0.01), Weights()):
        loss = model(images).sum()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_inside_inference_mode(model, bits_of, same_bits):
    before = bits_of(model)
    with torch.inference_mode(), inject(model, BitFlip(rate=0.01), ALL):
        assert not same_bits(model, before)
    assert same_bits(model, before)


def test_an_update_between_runs_stays(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for trial in range(3):
        with inject(model, BitFlip(rate=0.01), Weights(), trial=trial):
            pass
        before = model[4].weight.detach().clone()
        optimizer.zero_grad()
        model(torch.randn(4, 3, 8, 8)).sum().backward()
        optimizer.step()
        updated = model[4].weight.detach().clone()
        with inject(model, BitFlip(rate=0.01), Weights(), trial=trial):
            pass
        assert torch.equal(model[4].weight, updated)
        assert not torch.equal(updated, before)


def test_a_model_moved_inside_is_reported(model):
    target = Weights(where=named("0.*"))
    with (
        pytest.raises(FaultError, match=r"0\.weight moved to other memory"),
        inject(model, BitFlip(count=2), target),
    ):
        model.double()


def test_modes_hooks_and_statistics_stay(model, bits_of, same_bits):
    before, modes = bits_of(model), [m.training for m in model.modules()]
    with inject(model, BitFlip(rate=0.01), Weights()):
        assert [m.training for m in model.modules()] == modes
    assert same_bits(model, before)
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
