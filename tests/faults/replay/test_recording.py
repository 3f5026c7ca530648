"""When nothing is recorded, how much is, and what that saves."""

import pytest
import torch
from torch import nn

from clipact.faults import Weights
from clipact.faults._replay import Cause, record


def _stack(count=6, width=6):
    return nn.Sequential(*(nn.Linear(width, width) for _ in range(count)))


def _weights(tensors):
    return {Cause(frozenset({n})): float(t.tensor.numel()) for n, t in enumerate(tensors)}


def _recorded(model, run, **options):
    tensors = Weights().tensors(model)
    with torch.no_grad():
        return record(model, run, tensors, weights=_weights(tensors), **options)


def test_a_golden_run_that_does_not_repeat(bench):
    class Noisy(nn.Module):
        def forward(self, x):
            return x + torch.rand_like(x)

    found = bench(nn.Sequential(nn.Linear(6, 6), Noisy(), nn.Linear(6, 6)), [torch.randn(5, 6)])
    found.tensors = Weights().tensors(found.model)
    assert found.record().reason == "the golden run does not repeat: 1 returned other values"


def test_data_that_does_not_repeat(bench):
    found = bench(
        _stack(),
        [torch.randn(5, 6)],
        target=Weights(),
        evaluate=lambda net, x: net(torch.rand(5, 6)),
    )
    assert "forward 0 was given other arguments" in found.record().reason


def test_an_order_that_does_not_repeat(bench):
    class Alternates(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)

        def forward(self, x):
            self.first, self.second = self.second, self.first
            return self.second(self.first(x))

    found = bench(Alternates(), [torch.randn(5, 6)], target=Weights())
    assert "was called out of turn" in found.record().reason


def test_an_evaluation_that_raises_is_not_recorded():
    model = _stack()

    def run():
        model(torch.randn(5, 6))
        raise ZeroDivisionError

    assert _recorded(model, run).reason == (
        "the golden run cannot be watched: it raised ZeroDivisionError()"
    )


def test_an_evaluation_that_calls_no_module():
    assert _recorded(_stack(), lambda: None).reason == "no module was called"


def test_hooks_on_all_modules():
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        assert _recorded(_stack(), lambda: None).reason == "torch has hooks on all modules"
    finally:
        handle.remove()


def test_models_compiled_in_place():
    model = _stack()
    model[1].compile()
    assert _recorded(model, lambda: None).reason == "1 is compiled in place"


def test_what_saves_nothing_is_not_kept(bench):
    """At a high bit error rate, faults are in the first layer of nearly every trial."""
    model = _stack(width=64)
    batch = torch.randn(256, 64)
    once, many = (
        _recorded(model, lambda: model(batch.clone()), hits=hits) for hits in (1.0, 3_000.0)
    )
    assert once.reason is None
    assert once.saving > 0.1
    assert many.reason is not None
    assert many.reason.endswith("of a trial could be skipped")
    with many.replaying([3]) as replay, torch.no_grad():
        model(batch)
    assert (replay.skipped, replay.golden) == (0, False)


def test_savings_fall_with_the_number_of_faults():
    model = _stack(width=64)
    batch = torch.randn(256, 64)
    savings = [_recorded(model, lambda: model(batch), hits=h).saving for h in (1.0, 3.0, 9.0)]
    assert savings[0] > savings[1] > savings[2]


def test_trials_that_hit_everything_find_the_model_untouched(bench):
    found = bench(_stack(20), [torch.randn(5, 6)], target=Weights())
    found.record()
    with found.recording.replaying(range(20)):
        assert not any("forward" in module.__dict__ for module in found.model.modules())
    with found.recording.replaying([3, 4]):
        assert any("forward" in module.__dict__ for module in found.model.modules())


@pytest.mark.parametrize("budget", [0, 500, 2_000, 5_000, 2**20])
def test_a_budget_is_kept(bench, identical, budget):
    found = bench(_stack(12), [torch.randn(5, 6) for _ in range(4)], target=Weights())
    found.record(budget=budget)
    assert found.recording.nbytes <= budget
    full, fast, replay = found.trial([(11, 0, 31)])
    assert identical(full, fast)
    if budget >= 2_000:  # the values before the last layer, of each batch, and no others
        assert replay.skipped > 40


def test_what_nobody_reads_needs_no_memory(bench, identical):
    """To begin at the last layer, only what goes into it is kept; calls before it are not run for all that."""
    found = bench(_stack(12), [torch.randn(50, 6)], target=Weights())
    found.record(weights={Cause(frozenset({11})): 1.0}, budget=4_000)
    assert found.recording.nbytes <= 3 * 50 * 6 * 4
    full, fast, replay = found.trial([(11, 0, 31)])
    assert identical(full, fast)
    assert replay.skipped == 11


def test_values_are_kept_by_reference():
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True), nn.Linear(8, 8))
    outputs = []

    def run():
        handle = model[1].register_forward_hook(
            lambda _m, _a, output: outputs.append(output.untyped_storage().data_ptr())
        )
        model(torch.ones(4, 8))
        handle.remove()

    recording = _recorded(model, run, budget=2**20)
    golden = recording._goldens[0]
    kept = {value.untyped_storage().data_ptr() for value in golden.values.values()}
    assert outputs[-1] in kept


def test_golden_values_that_the_model_overwrites_under_faults_end_the_replay(bench):
    class Overwrites(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)

        def forward(self, x):
            early = self.first(x)
            late = self.second(early)
            if late.abs().max() > 1e6:
                early.zero_()
            return late + early

    found = bench(Overwrites(), [torch.randn(5, 6)], target=Weights())
    found.record()
    full, fast, replay = found.trial([(1, 0, 30)])
    assert not replay.valid
    assert replay.diverged == "golden values were changed in place"
    assert found.recording.reason is not None
    full, fast, replay = found.trial([(1, 0, 30)])
    assert torch.equal(full[0], fast[0])
    assert replay.valid


def test_no_room_for_copies_of_arguments(bench, identical):
    found = bench(_stack(), [torch.randn(5, 6) for _ in range(3)], target=Weights())
    found.record(budget=600)  # two of three are known by a digest
    full, fast, replay = found.trial([(5, 0, 31)])
    assert identical(full, fast)
    assert replay.diverged is None
    found.batches[2] = found.batches[2] + 1
    with found.recording.replaying() as replay:
        assert identical(found.measured(), found.measured())
    assert replay.diverged == "forward 2 is given other arguments"
