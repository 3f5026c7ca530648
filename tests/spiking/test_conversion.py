"""Every ReLU call becomes a spike of its own, or the network is refused as it is."""

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

import clipact as ca
from clipact.errors import CalibrationError, SpikingError
from clipact.functional import hoyer_extremum
from clipact.nn import HoyerSpike, SaturatedReLU
from clipact.spiking import calibrate_statistics_, to_spiking_
from clipact.where import named, of_type


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.again, self.head = nn.Conv2d(4, 4, 3), nn.Linear(4 * 4 * 4, 3)

    def forward(self, x):
        x = self.relu(self.norm(self.conv(x)))
        x = self.relu(self.again(x))
        return self.head(F.relu(x * 2).flatten(1))


def spikes(model):
    return [module for module in model.modules() if isinstance(module, HoyerSpike)]


def snapshot(model):
    return [(n, type(m)) for n, m in model.named_modules()], {
        k: v.clone() for k, v in model.state_dict().items()
    }


def same(model, before):
    names, state = snapshot(model)
    return names == before[0] and all(torch.equal(v, before[1][k]) for k, v in state.items())


def test_every_call_has_its_own():
    model, x = Functional(), torch.randn(5, 1, 8, 8)
    assert to_spiking_(model, example=x) is model
    assert len(spikes(model)) == 3
    assert not any(isinstance(module, nn.ReLU) for module in model.modules())
    seen = []
    for module in spikes(model):
        module.register_forward_hook(lambda m, a, y: seen.append(y.unique().tolist()))
    model(x)
    assert seen == [[0.0, 1.0]] * 3


def test_torchvision_networks():
    x = torch.randn(2, 3, 32, 32)
    assert len(spikes(to_spiking_(torchvision.models.resnet18(), example=x))) == 17
    with pytest.raises(SpikingError, match=r"no spike can stand for: features\.0\.2 \(Hardswish\)"):
        to_spiking_(torchvision.models.mobilenet_v3_small(), example=x)


def test_spikes_of_ones_own():
    model, x = Functional(), torch.randn(2, 1, 8, 8)
    to_spiking_(model, example=x, spike=lambda site: HoyerSpike(site.shape[1], levels=4))
    assert [(s.num_features, s.levels) for s in spikes(model)] == [(4, 4)] * 3
    assert len(ca.thresholds(model)) == 3


def test_clipped_activations_count_as_rectifiers():
    model = nn.Sequential(nn.Linear(2, 3), SaturatedReLU(2.0), nn.Linear(3, 2))
    assert isinstance(to_spiking_(model, example=torch.randn(2, 2))[1], HoyerSpike)


def test_probabilities_behind_the_logits_stay():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.Softmax(dim=1))
    to_spiking_(model, example=torch.randn(2, 2))
    assert [type(m).__name__ for m in model] == ["Linear", "HoyerSpike", "Linear", "Softmax"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Linear(2, 2)), r"no ReLU to turn into a spike.*activations: none"),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU()), r"'1' gives the output of Sequential"),
        (
            nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Flatten(0)),
            r"'1' gives the output of Sequential",
        ),
        (
            nn.Sequential(nn.Linear(2, 2), HoyerSpike(), nn.Linear(2, 2)),
            r"no ReLU to turn into a spike.*activations: HoyerSpike",
        ),
        (
            nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 2)),
            r"stand for: 3 \(GELU\); train the model with ReLU",
        ),
    ],
)
def test_refused_and_left_alone(model, message):
    before = snapshot(model)
    with pytest.raises(SpikingError, match=message):
        to_spiking_(model, example=torch.randn(3, 2))
    assert same(model, before)


def test_a_part_on_demand():
    model = nn.Sequential(
        nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 2), nn.ReLU()
    )
    to_spiking_(model, example=torch.randn(3, 2), where=of_type(nn.ReLU) & ~named("5"))
    assert [type(m).__name__ for m in model][1::2] == ["HoyerSpike", "GELU", "ReLU"]


def test_something_else_than_a_spike():
    model = Functional()
    before = snapshot(model)
    with pytest.raises(SpikingError, match=r"gave a ReLU for 'relu'"):
        to_spiking_(model, example=torch.randn(2, 1, 8, 8), spike=lambda site: nn.ReLU())
    assert same(model, before)


def test_calibration_sets_clip_values_and_statistics():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.BatchNorm1d(512), nn.Linear(512, 2))
    with torch.no_grad():
        model[0].weight.normal_(std=3 / 8)
        model[0].bias.zero_()
    data = torch.randn(4000, 64)
    to_spiking_(model, example=data[:2], calibration=data.split(500))
    spike = model[1]
    assert float(spike.v_threshold.detach()) == pytest.approx(3.0, rel=0.05)
    assert float(spike.running_extremum) == pytest.approx(0.818, abs=0.01)
    with torch.no_grad():
        rate = model[:2].eval()(data).mean(0)
    assert torch.allclose(model[2].running_mean, rate, atol=0.02)
    assert float(rate.mean()) == pytest.approx(0.207, abs=0.01)


def test_modes_and_momentum_are_kept():
    model = nn.Sequential(nn.BatchNorm1d(2, momentum=0.3), HoyerSpike(), nn.Linear(2, 2))
    model[0].eval()
    calibrate_statistics_(model, torch.randn(32, 2))
    assert [m.training for m in model] == [False, True, True]
    assert model[0].momentum == 0.3


def test_a_calibration_that_fails_changes_nothing():
    model = Functional()
    before = snapshot(model)

    def broken():
        yield torch.randn(4, 1, 8, 8)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        to_spiking_(model, example=torch.randn(2, 1, 8, 8), calibration=broken())
    assert same(model, before)
    to_spiking_(model, example=torch.randn(2, 1, 8, 8))
    before = snapshot(model)
    with pytest.raises(OSError, match="disk"):
        calibrate_statistics_(model, broken())
    assert same(model, before)
    with pytest.raises(CalibrationError, match="empty"):
        calibrate_statistics_(model, [])


def test_residual_blocks_keep_a_real_valued_stream():
    torch.manual_seed(0)
    block = ca.spiking.blocks.Residual(4, 8, stride=2)
    plain = ca.spiking.blocks.Residual(8, 8, spike=HoyerSpike)
    x = torch.randn(6, 4, 7, 7)
    into = []
    for conv in (block.conv, block.shortcut[0], plain.conv):
        conv.register_forward_hook(lambda m, a, y: into.append(a[0].unique().tolist()))
    y = block(x)
    z = plain(y)
    assert z.shape == (6, 8, 4, 4)
    assert into == [[0.0, 1.0]] * 3
    assert plain.spike.num_features == 8
    assert torch.allclose(z - y, plain.norm(plain.conv(plain.spike(y))), atol=1e-5)
    z.sum().backward()
    assert block.conv.weight.grad is not None


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(2, 3), nn.Linear(3, 2)

    def forward(self, x):
        return {"steps": 1, "logits": self.out(self.hidden(x).relu()).relu()}


def test_an_output_in_a_dictionary_is_an_output():
    with pytest.raises(SpikingError, match="'relu_2' gives the output of Named"):
        to_spiking_(Named(), example=torch.randn(3, 2))


def test_what_spikes_already_stays():
    kept = HoyerSpike(levels=3)
    model = nn.Sequential(nn.Linear(2, 2), kept, nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    to_spiking_(model, example=torch.randn(3, 2))
    assert model[1] is kept
    assert isinstance(model[3], HoyerSpike)


def test_statistics_are_means_over_batches_also_of_many():
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(50, 4, generator=generator) * (1 + i) for i in range(30)]
    model = nn.Sequential(HoyerSpike(4))
    calibrate_statistics_(model, batches)
    mean = torch.stack([hoyer_extremum(b, channel_dim=1) for b in batches]).mean(0)
    torch.testing.assert_close(model[0].running_extremum, mean)
    assert model[0].momentum == 0.1


def test_a_residual_block_with_an_even_kernel():
    with pytest.raises(SpikingError, match="Residual got kernel_size=2"):
        ca.spiking.blocks.Residual(4, 4, kernel_size=2)


def test_a_calibration_that_fails_after_the_exchange_takes_it_back():
    model = Functional()
    before = snapshot(model)
    once = (batch for batch in [torch.randn(16, 1, 8, 8)])
    with pytest.raises(CalibrationError, match="a generator can be used only once"):
        to_spiking_(model, example=torch.randn(2, 1, 8, 8), calibration=once)
    assert same(model, before)
    assert not spikes(model)


@pytest.mark.parametrize("calibration", [None, [torch.randn(9, 1, 8, 8)]])
def test_a_network_exchanged_in_inference_mode_can_be_trained(calibration):
    model, x = Functional(), torch.randn(5, 1, 8, 8)
    with torch.inference_mode():
        to_spiking_(model, example=x, calibration=calibration)
    model(x).sum().backward()
    assert all(spike.v_threshold.grad is not None for spike in spikes(model))
    assert all(spike.batches_seen.any() for spike in spikes(model))


@pytest.mark.parametrize("spike", [HoyerSpike, HoyerSpike()])
def test_a_spike_in_place_of_a_function_that_makes_one(spike):
    model = Functional()
    before = snapshot(model)
    with pytest.raises(SpikingError, match="spike= that is a class or a module; give a function"):
        to_spiking_(model, example=torch.randn(2, 1, 8, 8), spike=spike)
    assert same(model, before)
    with pytest.raises(SpikingError, match="Residual got a module as spike="):
        ca.spiking.blocks.Residual(4, 4, spike=HoyerSpike())


def test_an_example_without_samples():
    with pytest.raises(SpikingError, match="example without samples"):
        to_spiking_(Functional(), example=torch.randn(0, 1, 8, 8))


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([torch.randn(4, 1, 8, 8), torch.zeros(0, 1, 8, 8)], "batch 1 has no sample"),
        ([torch.full((4, 1, 8, 8), torch.nan)], "norm met NaN or infinite values"),
        ([torch.full((4, 1, 8, 8), torch.inf)], "norm met NaN or infinite values"),
    ],
)
def test_statistics_of_nothing_or_of_nan_are_not_taken(batches, message):
    model = to_spiking_(Functional(), example=torch.randn(2, 1, 8, 8))
    model(torch.randn(9, 1, 8, 8))
    before = snapshot(model)
    with pytest.raises(CalibrationError, match=message):
        calibrate_statistics_(model, batches)
    assert same(model, before)
    assert model.norm.momentum == 0.1


def test_a_network_without_statistics():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, track_running_stats=False))
    with pytest.raises(SpikingError, match="no HoyerSpike in Sequential"):
        calibrate_statistics_(model, torch.randn(4, 2))
