import pytest
import torch
from torch import nn

from clipact.errors import SpikingError
from clipact.nn import HoyerSpike
from clipact.report import energy_by_layer, spike_raster, spike_rates
from clipact.spiking import SpikeMeter, energy_report


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 12), HoyerSpike(v_threshold=0.5), nn.Linear(12, 2)).eval()


@torch.no_grad()
def test_a_dot_for_every_spike(model):
    x = torch.randn(6, 4)
    with SpikeMeter(model, keep=6) as meter:
        model(x)
    (axes,) = spike_raster(meter, "1").get_axes()
    dots = {tuple(map(int, dot)) for dot in axes.collections[0].get_offsets().tolist()}
    assert dots == {tuple(at) for at in model[:2](x).nonzero().tolist()}
    assert len(dots) > 5


@torch.no_grad()
def test_every_channel_is_counted(model):
    with SpikeMeter(model, keep=0) as meter:
        model(torch.randn(100, 4))
    (axes,) = spike_rates(meter).get_axes()
    assert sum(bar.get_height() for bar in axes.patches) == 12
    assert "of 12 dead" in axes.get_title(loc="left")
    with pytest.raises(SpikingError, match="kept no spikes of '1'"):
        spike_raster(meter, "1")
    with pytest.raises(SpikingError, match="no spiking layer has run"):
        spike_rates(SpikeMeter(model))
    with SpikeMeter(model) as meter:
        model(torch.randn(0, 4))
    with pytest.raises(SpikingError, match="no spiking layer has run"):
        spike_rates(meter)


def test_bars_are_the_energies(model):
    report = energy_report(model, torch.randn(20, 4))
    (axes,) = energy_by_layer(report).get_axes()
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx(
        [x.relu / 1e3 for x in report.layers] + [x.compute / 1e3 for x in report.layers]
    )
    assert f"{report.ratio:.1f} times less" in axes.get_title(loc="left")
