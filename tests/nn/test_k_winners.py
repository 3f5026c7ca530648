"""The modules with a duty cycle, where other code takes a model apart or has it run differently."""

import copy
import pickle
from collections import OrderedDict

import pytest
import torch

from clipact.nn import KWinners, KWinners2d


def sample(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


BOOSTED = [
    (lambda: KWinners(0.5, features=8, boost=2.0, momentum=0.25), (4, 8)),
    (lambda: KWinners(0.5, features=8, boost=2.0, momentum=0.25), (2, 3, 8)),
    (lambda: KWinners(0.5, features=8, boost=2.0, momentum=0.25), (8,)),
    (lambda: KWinners2d(0.5, channels=3, boost=2.0, momentum=0.25), (4, 3, 5, 5)),
    (lambda: KWinners2d(0.5, channels=3, boost=2.0, momentum=0.25), (3, 5, 5)),
]


@pytest.mark.parametrize(("make", "shape"), BOOSTED)
@pytest.mark.parametrize("training", [True, False])
def test_a_symbolic_trace_does_what_the_module_does(make, shape, training):
    module = make().train(training)
    module.duty_cycle.uniform_(0.2, 0.8, generator=torch.Generator().manual_seed(1))
    traced = torch.fx.symbolic_trace(torch.nn.Sequential(OrderedDict(act=copy.deepcopy(module))))
    traced.graph.eliminate_dead_code()
    traced.recompile()
    for scale in (1.0, 2.0):
        assert torch.equal(traced(sample(*shape) * scale), module(sample(*shape) * scale))
    assert torch.equal(traced.act.duty_cycle, module.duty_cycle)
    again = pickle.loads(pickle.dumps(traced))
    assert torch.equal(again(sample(*shape)), module(sample(*shape)))


def test_a_number_by_itself_wins_and_tells_nothing_of_units():
    module = KWinners(0.5, features=3, boost=1.0)
    assert module(torch.tensor(-2.0)) == -2.0
    assert module.duty_cycle.tolist() == [0.5] * 3


@pytest.mark.parametrize(("make", "shape"), [BOOSTED[2], BOOSTED[4]])
def test_one_case_without_a_batch_tells_the_same_as_a_batch_of_it(make, shape):
    alone, batch = make(), make()
    x = sample(*shape)
    assert torch.equal(alone(x), batch(x[None])[0])
    assert torch.equal(alone.duty_cycle, batch.duty_cycle)
    assert alone.duty_cycle.unique().numel() > 1
