import math

import pytest
import torch
from torch import nn

from clipact.errors import TrainingError
from clipact.training import Descent


def test_the_rate_warms_up_and_falls_along_a_cosine():
    descent = Descent(rate=0.4, epochs=10, warmup=5)
    rates = [descent.at(step, steps=3) for step in range(descent.total * 3)]
    assert rates[:15] == pytest.approx([0.4 * (step + 1) / 15 for step in range(15)])
    assert rates[15:] == pytest.approx([0.2 * (1 + math.cos(math.pi * s / 30)) for s in range(30)])


@pytest.mark.parametrize("decoupled", [True, False])
@pytest.mark.parametrize("decay", [0.0, 0.4, 4.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_no_threshold_ends_beyond_its_reach(decoupled, decay, sign):
    """With gradients that always point the same way, Adam takes its longest steps."""
    descent = Descent(rate=1e-2, epochs=4, warmup=1, decay=decay, decoupled=decoupled)
    threshold = nn.Parameter(torch.tensor([0.5, 3.0, 10.0], dtype=torch.float64))
    optimizer = descent.optimizer([threshold])
    values = []
    for step in range(5 * 20):
        values.append(threshold.detach().clone())
        for group in optimizer.param_groups:
            group["lr"] = descent.at(step, steps=20)
        threshold.grad = torch.full_like(threshold, -sign)
        optimizer.step()
    for step, value in enumerate(values):
        shrink, path = descent.reach(step, steps=20)
        assert (threshold <= value * shrink + path + 1e-9).all()
        assert (threshold >= value * shrink - path - 1e-9).all()
    if decoupled:  # the bound is met, so it is as tight as it can be
        shrink, path = descent.reach(0, steps=20)
        torch.testing.assert_close(
            threshold.detach(), values[0] * shrink + sign * path, rtol=1e-4, atol=1e-6
        )


def test_nothing_is_in_reach_at_the_end():
    assert Descent(rate=1.0, epochs=2).reach(20, steps=10) == (1.0, 0.0)


@pytest.mark.parametrize("settings", [{"rate": 0.0}, {"rate": math.inf}, {"decay": -1.0}, {"epochs": -1}, {"warmup": -2}, {"epochs": 1.5}, {"warmup": 0.5}])  # fmt: skip
def test_nonsense_is_refused(settings):
    with pytest.raises(TrainingError, match="asked for"):
        Descent(**{"rate": 0.1, "epochs": 1, **settings})
