"""What is replayed, what runs, and when golden values must not be trusted."""

import copy
import inspect
import threading

import pytest
import torch
import torchvision
from torch import nn

from clipact.faults import Biases, Weights
from clipact.faults._replay import Cause

SIGN = 31


class _Counted(nn.Linear):
    """Counts how often it ran, out of sight of its attributes."""

    def forward(self, x):
        _RAN[id(self)] = _RAN.get(id(self), 0) + 1
        return super().forward(x)


_RAN = {}


def _runs(model):
    counts = []
    for module in model.modules():
        if isinstance(module, _Counted):
            counts.append(_RAN.pop(id(module), 0))
    return counts


def _stack(count=4):
    return nn.Sequential(*(_Counted(6, 6) for _ in range(count)))


def _rows(count=1):
    return [torch.randn(5, 6) for _ in range(count)]


def _stand_ins(model):
    return [path for path, module in model.named_modules() if "forward" in module.__dict__]


def test_only_what_lies_after_the_fault_runs(bench):
    found = bench(_stack(), _rows(), target=Weights())
    found.record()
    _runs(found.model)
    full, fast, replay = found.trial([(2, 0, SIGN)])
    assert [a - b for a, b in zip(_runs(found.model), [1] * 4, strict=True)] == [0, 0, 1, 1]
    assert torch.equal(full[0], fast[0])
    assert (replay.skipped, replay.masked, replay.golden) == (2, 0, False)


def test_a_masked_fault_costs_one_layer(bench, identical):
    model = _stack()
    model[1].weight.data[:, 3] = 0.0  # so that the rest does not see output 3 of the first
    model[0].weight.data[3] = 0.0
    batches = [torch.cat([torch.zeros(5, 1), torch.randn(5, 5)], 1)]
    found = bench(model, batches, target=Weights())
    found.record()
    golden = found.measured()
    _runs(model)
    full, fast, replay = found.trial([(0, 0, 20)])  # a weight that only sees zeros
    assert _runs(model) == [2, 1, 1, 1]
    assert identical(full, fast)
    assert identical(fast, golden)
    assert replay.golden
    assert replay.masked == 1


def test_after_a_masked_fault_the_next_one_is_met(bench, identical):
    model = _stack()
    found = bench(model, [torch.cat([torch.zeros(5, 1), torch.randn(5, 5)], 1)], target=Weights())
    found.record()
    _runs(model)
    full, fast, replay = found.trial([(0, 0, 20), (3, 0, SIGN)])
    assert _runs(model) == [2, 1, 1, 2]
    assert identical(full, fast)
    assert (replay.masked, replay.golden) == (1, False)


def test_without_faults_nothing_runs(bench, identical):
    model = _stack()
    found = bench(model, _rows(3), target=Weights())
    found.record()
    golden = found.measured()
    _runs(model)
    with found.recording.replaying() as replay:
        again = found.measured()
    assert _runs(model) == [0] * 4
    assert identical(golden, again)
    assert replay.golden


def test_a_tensor_that_is_never_read_changes_nothing(bench):
    model = nn.ModuleDict({"used": nn.Linear(6, 6), "spare": nn.Linear(6, 6)})
    found = bench(
        model, _rows(), target=Weights(), evaluate=lambda net, batch: net["used"](batch.clone())
    )
    found.record()
    _, _, replay = found.trial([(1, 0, SIGN)])
    assert replay.golden


def test_values_kept_by_reference_are_not_those_that_later_code_changed(bench):
    """The trap: ``out += identity`` and in-place activations change what a block before them returned."""
    found = bench(
        torchvision.models.resnet18(num_classes=3), [torch.randn(2, 3, 32, 32)], target=Weights()
    )
    found.record()
    names = [item.name for item in found.tensors]
    for block in ("layer1.0", "layer2.0", "layer4.1"):
        for layer in ("conv1", "bn1", "conv2", "bn2", "downsample.0", "downsample.1"):
            if f"{block}.{layer}.weight" in names:
                full, fast, _ = found.trial([(names.index(f"{block}.{layer}.weight"), 0, 30)])
                again, _, _ = found.trial([(names.index(f"{block}.{layer}.weight"), 0, 30)])
                assert torch.equal(full[0].view(torch.int32), fast[0].view(torch.int32))
                assert torch.equal(full[0].view(torch.int32), again[0].view(torch.int32))


class _KeepsAnAlias(nn.Module):
    """What its first part returns is changed in place later, and read by another name after that."""

    def __init__(self):
        super().__init__()
        self.part, self.relu, self.head = _Dead(), nn.ReLU(inplace=True), nn.Linear(6, 6)

    def forward(self, x):
        out = self.part(x)
        alias = out
        return self.head(self.relu(out)) + alias


class _Dead(nn.Module):
    """Masks every fault in its first layer."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        return self.second(self.first(x).clamp(0, 0))


def test_in_place_calls_run_on_what_a_masked_part_returned(bench, identical):
    found = bench(_KeepsAnAlias(), _rows(), target=Weights())
    found.record()
    full, fast, replay = found.trial([(0, 0, 22)])
    assert identical(full, fast)
    assert replay.golden


class _Hoard(nn.Module):
    """Hands a tensor on past its output, where only its use betrays it."""

    def __init__(self, bag):
        super().__init__()
        self.layer = nn.Linear(6, 6)
        object.__setattr__(self, "deep", bag)

    def forward(self, x):
        y = self.layer(x)
        self.deep.inner.append(y * 2)
        return y


class _Bag:
    def __init__(self):
        self.inner = []


class _Takes(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag = [[_Bag()]]
        self.hoard, self.head = _Hoard(self.bag[0][0]), nn.Linear(6, 6)

    def forward(self, x):
        y = self.hoard(x)
        return self.head(y) + self.bag[0][0].inner.pop()


def test_a_call_that_hands_on_more_than_its_output_runs(bench, identical):
    found = bench(_Takes(), _rows(), target=Weights())
    found.record()
    full, fast, _ = found.trial([(1, 0, SIGN)])
    assert identical(full, fast)


class _Turns(nn.Module):
    """Where values are large, goes back to one that it would otherwise not have looked at again."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(4))

    def forward(self, x):
        early = self.layers[0](x)
        late = self.layers[2](self.layers[1](early))
        return self.layers[3](early if late.abs().max() > 1e6 else late)


@pytest.mark.parametrize("budget", [2**20, 250])
def test_faults_that_change_the_course_find_all_that_they_may_read(bench, identical, budget):
    found = bench(_Turns(), _rows(), target=Weights())
    found.record(budget=budget)
    full, fast, replay = found.trial([(2, 0, 30)])
    assert full[0].abs().max() < 1e6
    assert replay.valid
    assert identical(full, fast)


class _Remembers(nn.Module):
    """Remembers that values were large, and answers otherwise from then on."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.seen = 0

    def forward(self, x):
        hidden = self.first(x)
        if hidden.abs().max() > 1e6:
            self.seen += 1
        return self.second(hidden.clamp(-1, 1)) + self.seen


def test_what_faults_leave_in_modules_reaches_the_next_batch(bench, identical):
    model = _Remembers()
    found = bench(model, _rows(3), target=Weights())
    found.record()
    found.recording  # noqa: B018 - recorded without faults, when nothing was remembered
    hits = [(0, 0, 30)]
    found._flip(hits)
    full = found.measured()
    model.seen = 0
    with found.recording.replaying([0]) as replay:
        fast = found.measured()
    found._flip(hits)
    assert model.seen == 3
    assert replay.valid
    assert identical(full, fast)


class _Stateful(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 6)
        self.register_buffer("mean", torch.zeros(6))

    def forward(self, x):
        y = self.layer(x)
        self.mean.mul_(0.5).add_(y.mean(0))
        return y + self.mean


def test_modules_with_a_state_always_run(bench):
    model = nn.Sequential(nn.Linear(6, 6), _Stateful(), nn.Linear(6, 6), nn.Linear(6, 6))
    found = bench(model, _rows(3), target=Weights())
    found.record()
    skipped, _, _ = found.check(trials=20)
    assert skipped > 0


def test_random_numbers_are_drawn_as_often(bench):
    class Noisy(nn.Module):
        def forward(self, x):
            return x + torch.rand_like(x)

    def evaluate(net, batch):
        torch.manual_seed(3)
        return net(batch), torch.rand(2)

    model = nn.Sequential(nn.Linear(6, 6), Noisy(), nn.Linear(6, 6), Noisy(), nn.Linear(6, 6))
    found = bench(model, _rows(2), target=Weights(), evaluate=evaluate)
    found.record()
    assert found.check(trials=15)[0] > 0


def test_other_arguments_run_in_full(bench, identical):
    found = bench(_stack(), _rows(2), target=Weights())
    found.record()
    found.batches[1] = found.batches[1] + 1
    full, fast, replay = found.trial([(2, 0, SIGN)])
    assert identical(full, fast)
    assert (replay.valid, replay.skipped) == (True, 2)
    with found.recording.replaying() as replay:
        assert identical(found.measured(), found.measured())
    assert replay.diverged == "forward 1 is given other arguments"
    assert not replay.golden


def test_outputs_that_become_arguments_carry_faults_on(bench, identical):
    def evaluate(net, batch):
        state = batch
        for _ in range(3):
            state = net(state)
        return state

    found = bench(_stack(), _rows(), target=Weights(), evaluate=evaluate)
    found.record()
    full, fast, replay = found.trial([(2, 0, SIGN)])
    assert identical(full, fast)
    assert replay.diverged is None
    assert replay.skipped == 2  # of the first step; the others begin with other values


def test_another_mode_runs_in_full(bench, identical):
    found = bench(_stack(), _rows(2), target=Weights())
    found.record()
    found.around = (torch.no_grad, lambda: torch.autocast("cpu", torch.bfloat16))
    full, fast, replay = found.trial([(2, 0, SIGN)])
    assert identical(full, fast)
    assert replay.diverged == "forward 0 runs in another mode"
    assert replay.skipped == 0


def test_training_mode_runs_in_full(bench, identical):
    found = bench(nn.Sequential(*_stack(), nn.Dropout(0.0)), _rows(), target=Weights())
    found.record()
    found.model[4].train()
    full, fast, replay = found.trial([(2, 0, SIGN)])
    assert identical(full, fast)
    assert replay.diverged == "forward 0 runs in another mode"


class _Wanders(nn.Module):
    """Takes the order in which it calls its layers from elsewhere."""

    order = (0, 1, 2)

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
        self.head = nn.Linear(6, 6)

    def forward(self, x):
        for place in type(self).order:
            x = self.layers[place](x)
        return self.head(x)


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 1), (0, 1, 2, 2)])
def test_another_order_is_noticed(bench, monkeypatch, order):
    found = bench(_Wanders(), _rows(), target=Weights())
    found.record()
    monkeypatch.setattr(_Wanders, "order", order)
    _, _, replay = found.trial([(3, 0, SIGN)])
    assert not replay.valid
    assert "was called out of turn" in replay.diverged or "returned early" in replay.diverged


def test_faults_that_make_the_model_raise(bench):
    class Checked(nn.Module):
        def forward(self, x):
            if not x.isfinite().all():
                raise ValueError("not finite")
            return x

    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), Checked(), nn.Linear(6, 6))
    model[1].weight.data.fill_(1.5)
    found = bench(model, _rows(2), target=Weights())
    found.record()
    full, fast, _ = found.trial([(1, 0, 30)])  # infinite
    assert full == fast == "ValueError('not finite')"
    assert _stand_ins(model) == []
    full, fast, replay = found.trial([(2, 0, SIGN)])
    assert torch.equal(full[0], fast[0])
    assert replay.skipped == 6


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_nothing_is_left_in_the_model_whatever_happens(bench, error):
    model = _stack()
    own = lambda x: x * 2  # noqa: E731 - a forward of its own
    model[1].forward = own
    found = bench(model, _rows(), target=Weights())
    found.record()
    before = [dict(module.__dict__) for module in model.modules()]
    installed = []
    with pytest.raises(error), found.recording.replaying([2]):
        raise error(installed.extend(_stand_ins(model)))
    assert installed != []
    for module, saved in zip(model.modules(), before, strict=True):
        assert list(module.__dict__) == list(saved)
        assert all(module.__dict__[key] is value for key, value in saved.items())
    assert model[1].forward is own


def test_a_copy_of_the_model_has_its_own_forwards(bench):
    found = bench(_stack(), _rows(), target=Weights())
    found.record()
    with found.recording.replaying([2]):
        twin = copy.deepcopy(found.model)
    with torch.no_grad():
        twin[0].weight.zero_()
        twin[0].bias.zero_()
        batch = found.batches[0]
        assert torch.equal(twin(batch), twin(torch.zeros_like(batch)))
        assert not torch.equal(found.model(batch), twin(batch))


def test_signatures_stay(bench):
    found = bench(_stack(), _rows(), target=Weights())
    found.record()
    with found.recording.replaying([2]):
        assert list(inspect.signature(found.model[0].forward).parameters) == ["x"]


def test_other_threads_get_the_model_as_it_is(bench, identical):
    found = bench(_stack(), _rows(), target=Weights())
    found.record()
    given, outputs = torch.randn(5, 6), []

    def work():
        with torch.no_grad():
            outputs.append(found.model(given))

    with found.recording.replaying([2]):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        found.run()
    with torch.no_grad():
        assert torch.equal(outputs[0], found.model(given))


def test_users_may_change_what_they_are_given(bench, identical):
    def evaluate(net, batch):
        logits = net(batch)
        first = logits.clone()
        logits.add_(1).mul_(2)
        return first, logits

    found = bench(_stack(), _rows(2), target=Weights(), evaluate=evaluate)
    found.record()
    golden = found.measured()
    for _ in range(2):
        with found.recording.replaying() as replay:
            assert identical(found.measured(), golden)
        assert replay.golden
    found.check(trials=10)


def test_outputs_of_layers_corrupted_by_hooks(bench, identical):
    model = _stack()
    found = bench(model, _rows(2))
    found.record(weights={Cause(calls=frozenset({("2", None)})): 1.0})

    def corrupt(_module, _args, output):
        output[0, 0] = 1e3  # in place: golden values must not see it

    golden = found.measured()
    _runs(model)
    handle = model[2].register_forward_hook(corrupt)
    full = found.measured()
    for _ in range(2):
        with found.recording.replaying(calls=[("2", None)]) as replay:
            fast = found.measured()
        assert identical(full, fast)
        assert replay.skipped == 6
    handle.remove()
    assert _runs(model) == [2, 2, 2, 6]
    with found.recording.replaying():
        assert identical(found.measured(), golden)


@pytest.mark.parametrize("path", ["bn1", "relu", "layer1.0.bn2", "layer2.0", "layer3.1.relu", "fc"])
@pytest.mark.parametrize("in_place", [True, False])
def test_outputs_corrupted_by_hooks_beside_in_place_code(bench, identical, path, in_place):
    model = torchvision.models.resnet18(num_classes=3)
    found = bench(model, [torch.randn(2, 3, 32, 32)])
    found.record(weights={Cause(calls=frozenset({(path, None)})): 1.0})

    def corrupt(_module, _args, output):
        output = output if in_place else output.clone()
        output.view(-1)[3] = 50.0
        return output

    golden = found.measured()
    handle = model.get_submodule(path).register_forward_hook(corrupt)
    full = found.measured()
    for _ in range(2):
        with found.recording.replaying(calls=[(path, None)]) as replay:
            assert identical(found.measured(), full)
        assert replay.valid
    handle.remove()
    assert not identical(full, golden)
    with found.recording.replaying():
        assert identical(found.measured(), golden)


def test_one_of_several_calls_corrupted(bench, identical):
    model = torchvision.models.resnet18(num_classes=3)
    found = bench(model, [torch.randn(2, 3, 32, 32)])
    found.record(weights={Cause(calls=frozenset({("layer3.0.relu", 1)})): 1.0})
    seen = []

    def corrupt(_module, _args, output):
        seen.append(1)
        return output + 1.0 if len(seen) % 2 == 0 else None

    handle = model.layer3[0].relu.register_forward_hook(corrupt)
    full = found.measured()
    with found.recording.replaying(calls=[("layer3.0.relu", 1)]):
        fast = found.measured()
    handle.remove()
    assert identical(full, fast)


def test_a_corrupted_call_that_was_never_seen_runs_in_full(bench, identical):
    found = bench(_stack(), _rows(), target=Weights())
    found.record()
    with found.recording.replaying(calls=[("7", None)]) as replay:
        fast = found.measured()
    assert identical(fast, found.measured())
    assert replay.skipped == 0


def test_hooks_of_users_run_all_the_same(bench, identical):
    model = nn.Sequential(
        nn.Linear(6, 6), nn.Sequential(nn.Linear(6, 6), nn.ReLU()), nn.Linear(6, 6)
    )
    seen = []
    model[1][0].register_forward_hook(lambda _m, _a, output: seen.append(output.sum().item()))
    found = bench(model, _rows(), target=Weights() | Biases())
    found.record()
    seen.clear()
    full, fast, replay = found.trial([(2, 0, SIGN)])
    assert identical(full, fast)
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert replay.skipped > 0
