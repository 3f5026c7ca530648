"""Spikes counted by a meter are those that were sent."""

from functools import partial

import pytest
import snntorch
import torch
from torch import nn

from clipact.errors import SpikingError, SurgeryError
from clipact.nn import HoyerLeaky, HoyerSpike
from clipact.spiking import SpikeMeter


def network(**options):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), HoyerSpike(v_threshold=0.3, **options), nn.Flatten(), nn.Linear(144, 8), HoyerSpike(v_threshold=0.3), nn.Linear(8, 2)
    ).eval()  # fmt: skip


def test_rates_are_those_of_the_outputs():
    model, sent = network(), {}
    for name in ("1", "4"):
        model.get_submodule(name).register_forward_hook(
            lambda m, a, y, name=name: sent.setdefault(name, []).append(y)
        )
    with torch.no_grad(), SpikeMeter(model) as meter:
        for _ in range(3):
            model(torch.randn(5, 1, 8, 8))
    table = meter.table()
    for name in ("1", "4"):
        every = torch.cat(sent[name])
        row = table[name]
        assert 0 < row.rate < 1
        assert row.rate == pytest.approx(float(every.mean()))
        assert row.neurons == every[0].numel()
        by_channel = every.transpose(0, 1).flatten(1)
        assert row.dead == int((by_channel.amax(1) == 0).sum())
        assert row.always_on == int((by_channel.amin(1) == 1).sum())
        assert meter.rates(name).tolist() == pytest.approx(by_channel.mean(1).tolist())
    pooled = sum(float(torch.cat(v).mean()) * v[0][0].numel() for v in sent.values()) / (144 + 8)
    assert table.rate == pytest.approx(pooled)
    assert meter.raster("1").shape == (3, 144)
    assert torch.equal(meter.raster("1")[0], sent["1"][0][0].flatten())


def test_levels_are_spikes():
    model = nn.Sequential(HoyerSpike(levels=4, v_threshold=2.0)).eval()
    with torch.no_grad(), SpikeMeter(model) as meter:
        out = model(torch.tensor([[-1.0, 0.6, 1.2, 9.0]]))
    assert out.unique().numel() > 2
    assert meter.table()["0"].spikes == float((out / 0.5).sum()) > 4


@pytest.mark.parametrize("neuron", [snntorch.Leaky, partial(HoyerLeaky, num_steps=5)])
def test_time_steps_add_up(neuron):
    class Steps(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.lif = nn.Linear(4, 6), neuron(beta=0.9, threshold=0.4)
            self.sent = []

        def forward(self, x):
            membrane = self.lif.init_leaky()
            for _ in range(5):
                spike, membrane = self.lif(self.linear(x), membrane)
                self.sent.append(spike)
            return spike

    torch.manual_seed(0)
    model = Steps().eval()
    with torch.no_grad(), SpikeMeter(model) as meter:
        model(torch.randn(7, 4))
    row = meter.table()["lif"]
    assert row.steps == 5
    total = float(sum(s.sum() for s in model.sent))
    assert row.spikes == total > 0
    assert row.rate == pytest.approx(total / (7 * 6))
    assert meter.raster("lif").shape == (5, 6)


def test_nothing_stays_in_the_network():
    model = network().train()
    with SpikeMeter(model):
        model(torch.randn(2, 1, 8, 8))
    assert not any(m._forward_hooks or "forward" in vars(m) for m in model.modules())
    assert all(m.training for m in model.modules())


def test_refusals():
    model = network()
    meter = SpikeMeter(model)
    assert str(meter) == "no spiking layer has run yet"
    with pytest.raises(KeyError, match="no spiking layer '9' was seen; there is none"):
        meter.rates("9")
    spike = nn.Sequential(HoyerSpike()).eval()
    with SpikeMeter(spike) as meter:
        spike(torch.randn(2, 3))
        with pytest.raises(SpikingError, match=r"had channels of shape \(3,\) and now has \(4,\)"):
            spike(torch.randn(2, 4))


def test_an_empty_batch_counts_nothing():
    spike = nn.Sequential(HoyerSpike()).eval()
    with SpikeMeter(spike) as meter:
        spike(torch.randn(0, 3))
        row = meter.table()["0"]
        assert (row.neurons, row.dead, row.always_on) == (3, 0, 0)
        spike(torch.ones(2, 3))
        spike(torch.randn(0, 3))
    assert meter.table().rate == 1.0
    assert meter.table()["0"].neurons == 3


def test_a_loop_outside_the_network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), snntorch.Leaky(0.9, init_hidden=True))
    with SpikeMeter(model, steps=5) as meter:
        sent = [
            model(torch.rand(8, 4) * 3).detach() for _ in range(10)
        ]  # two batches of five steps
    assert meter.table()["1"].rate == pytest.approx(5 * float(torch.stack(sent).mean()))
    assert meter.rates("1").mean().item() == pytest.approx(meter.table().rate)
    for wrong in ({"steps": 0}, {"keep": -1}):
        with pytest.raises(SpikingError, match="SpikeMeter got keep="):
            SpikeMeter(model, **wrong)


def test_a_layer_knows_its_channels():
    model = nn.Sequential(nn.Conv1d(2, 3, 3), HoyerSpike(3))
    with SpikeMeter(model) as meter:
        model(torch.randn(4, 2, 10))
    assert meter.rates("1").shape == (3,)
    assert meter.table()["1"].neurons == 24


@pytest.mark.parametrize("levels", [1, 4])
def test_nan_that_is_passed_on_is_no_spike(levels):
    model = nn.Sequential(HoyerSpike(levels=levels, nan_to_zero=False)).eval()
    with SpikeMeter(model) as meter:
        out = model(torch.tensor([[torch.nan, 2.0, -1.0], [torch.nan, torch.nan, 2.0]]))
    assert out.isnan().sum() == 3
    assert meter.table()["0"].spikes == 2 * levels
    assert meter.table()["0"].dead == 1


def test_one_spike_without_dimensions():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.spike = HoyerSpike()

        def forward(self, x):
            return self.spike(x.sum())

    model = Sum().eval()
    with SpikeMeter(model) as meter:
        model(torch.ones(3))
    row = meter.table()["spike"]
    assert (row.rate, row.neurons, row.always_on) == (1.0, 1, 1)


def test_spikes_that_are_bools():
    class Above(nn.Module):
        def forward(self, x):
            return x > 0

    with SpikeMeter(model := nn.Sequential(Above()), kinds=(Above,)) as meter:
        model(torch.tensor([[1.0, -1.0], [2.0, 3.0]]))
    assert meter.table()["0"].spikes == 3


def test_a_meter_that_counts_cannot_be_entered_again():
    meter = SpikeMeter(nn.Sequential(HoyerSpike()))
    with meter, pytest.raises(SurgeryError, match="counting already"):
        meter.__enter__()
