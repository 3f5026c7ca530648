import pytest
import torch
from torch import nn

from clipact.errors import CampaignError
from clipact.faults import BitFlip, Buffers, Campaign, Weights


class Counter(nn.Module):
    """Updates one buffer in place and replaces others at every forward."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("memory", torch.zeros(1))
        self.register_buffer("late", None)

    def forward(self, inputs):
        self.calls += 1
        self.memory = self.memory + 1
        self.late = torch.ones(1) if self.late is None else self.late + 1
        return self.linear(inputs) + self.calls


def test_an_evaluation_in_train_mode_leaves_the_statistics(model, bits_of, same_bits):
    before, images = bits_of(model), torch.randn(8, 3, 8, 8)

    def evaluate(net):
        net.train()
        return net(images).nan_to_num().clamp(-9, 9).mean()

    result = Campaign(model, evaluate, fault=BitFlip(rate=0.01), target=Weights(), trials=3).run(
        progress=False
    )
    assert len(result) == 3
    assert same_bits(model, before)


@pytest.mark.parametrize("target", [Weights(), Buffers()])
def test_no_buffer_leaks_from_trial_to_trial(target, bits_of, same_bits):
    model = Counter()
    before, held, seen = bits_of(model), model.memory, []

    def evaluate(net):
        seen.append(
            (net.memory.item(), net.late) if isinstance(target, Weights) else (0.0, net.late)
        )
        net(torch.zeros(1, 4))
        return 0.0

    Campaign(model, evaluate, fault=BitFlip(count=1), target=target, trials=3).run(progress=False)
    assert len(seen) >= 5
    assert set(seen) == {(0.0, None)}
    assert same_bits(model, before)
    assert model.memory is held
    assert model.late is None


def test_buffers_are_put_back_when_a_trial_fails(bits_of, same_bits):
    model, calls = Counter(), []
    before = bits_of(model)

    def evaluate(net):
        net(torch.zeros(1, 4))
        calls.append(1)
        if len(calls) == 3:
            raise ValueError
        return 0.0

    with pytest.raises(CampaignError):
        Campaign(model, evaluate, fault=BitFlip(count=1), target=Weights(), trials=3).run(
            progress=False, replay=False, stop_on_error=True
        )
    assert len(calls) == 3
    assert same_bits(model, before)
