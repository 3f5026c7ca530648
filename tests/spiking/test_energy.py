"""Operations counted by hand, one by one."""

import json

import pytest
import torch
from torch import nn

from clipact.errors import SpikingError
from clipact.nn import HoyerLeaky, HoyerSpike
from clipact.spiking import FP32, INT8, EnergyCosts, energy_report
from clipact.surgery import find_sites


def by_hand(conv, x):
    """Every product of a 2d convolution whose input is there and not zero, counted in plain loops."""
    samples, channels, height, width = x.shape
    outputs, inputs, kh, kw = conv.weight.shape
    (sy, sx), (py, px), (dy, dx) = conv.stride, conv.padding, conv.dilation
    group = outputs // conv.groups
    rows = (height + 2 * py - dy * (kh - 1) - 1) // sy + 1
    columns = (width + 2 * px - dx * (kw - 1) - 1) // sx + 1
    count = 0
    for n in range(samples):
        for out in range(outputs):
            first = out // group * inputs
            for c in range(first, first + inputs):
                for row in range(rows):
                    for column in range(columns):
                        for i in range(kh):
                            for j in range(kw):
                                y, z = row * sy - py + i * dy, column * sx - px + j * dx
                                if 0 <= y < height and 0 <= z < width:
                                    count += bool(x[n, c, y, z] != 0)
    assert channels == inputs * conv.groups
    return count


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1),
        nn.BatchNorm2d(4),
        HoyerSpike(v_threshold=0.5),
        nn.Conv2d(4, 6, 3, padding=2, dilation=2, groups=2),
        nn.BatchNorm2d(6),
        HoyerSpike(v_threshold=0.5),
        nn.Flatten(),
        nn.Linear(6 * 16, 5),
    ).eval()


def test_two_convolutions_by_hand(network):
    x = torch.randn(2, 2, 7, 7)
    x[:, :, ::2] = 0
    with torch.no_grad():
        spikes = network[:3](x)
        late = network[:7](x)
    assert 0 < spikes.mean() < 1
    first, second, last = energy_report(network, x).layers
    assert (first.name, second.name, last.name) == ("0", "3", "7")
    assert (first.macs, first.acs) == (by_hand(network[0], x) / 2, 0)
    assert (second.macs, second.acs) == (0, by_hand(network[3], spikes) / 2)
    assert (last.macs, last.acs) == (0, int(late.count_nonzero()) * 5 / 2)
    assert first.dense == by_hand_dense(network[0], x)
    assert second.rate == pytest.approx(float(spikes.mean()))
    assert second.compute == second.acs * 0.9
    assert first.compute == first.macs * 4.6
    assert second.relu == second.dense * 4.6


def by_hand_dense(conv, x):
    rows = (x.shape[2] + 2 * conv.padding[0] - conv.dilation[0] * 2 - 1) // conv.stride[0] + 1
    return rows * rows * conv.weight.numel()


def test_memory_by_hand():
    model = nn.Linear(16, 3)
    spikes = (torch.arange(16) % 2).float().repeat(4, 1)
    (layer,) = energy_report(model, spikes, costs=INT8).layers
    assert layer.memory == pytest.approx((16 / 8 + 3 + 3 * 16 + 3) * 24.96)
    assert layer.relu_memory == pytest.approx((16 + 3 + 3 * 16 + 3) * 24.96)
    (layer,) = energy_report(model, torch.randn(4, 16)).layers
    assert layer.memory == layer.relu_memory == pytest.approx((16 + 3 + 51) * 4 * 24.96)


@pytest.mark.parametrize(
    ("x", "macs", "acs"),
    [
        (torch.tensor([[0.0, 1.0, 1.0]]), 0, 8),
        (torch.tensor([[0.0, 0.3, 0.3]]), 0, 8),
        (torch.tensor([[0.0, -2.0, 0.0]]), 0, 4),
        (torch.tensor([[1.0, -1.0, 0.0]]), 8, 0),
        (torch.tensor([[1.0, 2.0, 0.0]]), 8, 0),
        (torch.tensor([[0.0, 0.0, 0.0]]), 0, 0),
        (torch.tensor([[float("inf"), 0.0, 1.0]]), 8, 0),
        (torch.tensor([[float("nan"), 0.0, 0.0]]), 4, 0),
    ],
)
def test_only_two_values_cost_accumulates(x, macs, acs):
    (layer,) = energy_report(nn.Linear(3, 4), x).layers
    assert (layer.macs, layer.acs) == (macs, acs)


def test_levels_are_spikes_when_asked():
    x = torch.tensor([[0.0, 0.25, 0.5, 1.0]]) * 0.7
    (layer,) = energy_report(nn.Linear(4, 3), x, unary=True).layers
    assert (layer.macs, layer.acs) == (0, (1 + 2 + 4) * 3)
    (layer,) = energy_report(
        nn.Linear(4, 3), torch.tensor([[0.1, 0.25, 0.5, 1.0]]), unary=True
    ).layers
    assert (layer.macs, layer.acs) == (12, 0)


def test_held_against_relus(network):
    relu = nn.Sequential(
        *[nn.ReLU() if isinstance(layer, HoyerSpike) else layer for layer in network]
    ).eval()
    x = torch.randn(2, 2, 7, 7)
    report = energy_report(network, x, against=relu)
    assert report.relu_macs == energy_report(relu, x).total().macs
    assert "zeros skipped" in str(report)
    assert report.ratio == report.total().relu / report.total().compute > 1


def test_time_steps_of_snntorch_add_up():
    import snntorch

    lif = snntorch.Leaky(beta=0.5, threshold=0.5)
    first, last = nn.Linear(4, 8), nn.Linear(8, 2)
    model = nn.ModuleDict({"first": first, "lif": lif, "last": last})
    x = torch.randn(3, 4)
    spikes = []

    def run(net):
        mem = net["lif"].init_leaky()
        for _ in range(5):
            spike, mem = net["lif"](net["first"](x), mem)
            spikes.append(spike)
            net["last"](spike)

    report = energy_report(model, x, run=run)
    assert report.layers[0].dense == 5 * 4 * 8
    assert report.layers[1].acs == sum(int(s.count_nonzero()) for s in spikes) * 2 / 3 > 0
    assert report.layers[1].macs == 0


def test_the_network_stays_as_it_was(network):
    network.train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    energy_report(network, torch.randn(2, 2, 7, 7))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert all(module.training for module in network.modules())
    assert not any(module._forward_hooks for module in network.modules())


def test_plain_values(network):
    report = energy_report(network, torch.randn(2, 2, 7, 7), costs=FP32)
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["total"]["acs"] == sum(row["acs"] for row in plain["layers"])
    assert list(report.to_pandas()["name"]) == ["0", "3", "7"]
    assert "compute only, fp32, 45 nm" in str(report)


def test_bad_input():
    with pytest.raises(SpikingError, match="no Linear or convolution layer has run"):
        energy_report(nn.Sequential(nn.ReLU()), torch.randn(1, 2))
    with pytest.raises(SpikingError, match="at least one"):
        energy_report(nn.Linear(2, 2), torch.zeros(0, 2))
    for wrong in (None, 3.0):
        with pytest.raises(SpikingError, match="give a tensor whose first axis counts"):
            energy_report(nn.Linear(2, 2), wrong)
    with pytest.raises(SpikingError, match=r"mac=-1"):
        EnergyCosts("free", mac=-1, ac=0, bits=8)


def connections(layer, x):
    """Of every input that is not zero, to how many outputs it leads: the derivative of the layer with weights of 1."""
    nn.init.ones_(layer.weight)
    paths = torch.autograd.functional.jacobian(lambda x: layer(x).sum(), x)
    return int((paths * (x != 0)).sum())


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), (2, 4, 7, 6)),
        (nn.Conv2d(4, 4, 3, padding="same", dilation=2), (2, 4, 7, 6)),
        (nn.Conv2d(2, 4, (3, 2), padding="same"), (2, 2, 7, 6)),
        (nn.Conv2d(2, 4, 3, padding=2, padding_mode="reflect"), (2, 2, 7, 6)),
        (nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular", stride=2), (2, 2, 7, 6)),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), (2, 4, 5, 4)),
        (nn.ConvTranspose2d(2, 4, 3, stride=3, dilation=2), (2, 2, 5, 4)),
        (nn.ConvTranspose1d(2, 4, 3, stride=2, padding=2), (2, 2, 5)),
        (nn.Conv3d(2, 2, 2, stride=2, padding=1), (2, 2, 4, 5, 3)),
        (nn.Linear(5, 3), (2, 4, 5)),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_every_connection_is_counted(layer, shape):
    x = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.4).float()
    counted = energy_report(layer, x).layers[0]
    assert (counted.acs * len(x), counted.macs) == (connections(layer, x), 0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_levels_of_a_clip_value_that_went_negative(dtype):
    spike = HoyerSpike(levels=4)
    nn.init.constant_(spike.v_threshold, -0.7)
    model = nn.Sequential(spike, nn.Linear(50, 3)).to(dtype).eval()
    x = torch.randn(8, 50, generator=torch.Generator().manual_seed(0)).to(dtype)
    spikes = (spike(x).detach().float() / (0.7 / 4)).round().sum()
    found = energy_report(model, x, unary=True).layers[0]
    assert (found.acs, found.macs) == (pytest.approx(float(spikes) * 3 / 8), 0.0)


def test_layers_called_by_keyword():
    report = energy_report(nn.Linear(2, 3), {"input": torch.ones(4, 2)})
    assert report.layers[0].acs == 6.0


def test_a_sequence_is_left_at_its_step():
    torch.manual_seed(0)
    leaky = HoyerLeaky(0.9, num_steps=3, init_hidden=True)
    model, x = nn.Sequential(nn.Linear(3, 4), leaky, nn.Linear(4, 2)).eval(), torch.randn(50, 3)
    leaky.extrema.running[:, 0] = torch.tensor([0.2, 0.5, 0.9])
    model(x)
    leaky.reset_mem()
    first, second = energy_report(model, x), energy_report(model, x)
    assert first == second
    find_sites(model, x)
    assert leaky.extrema.step == 0
    assert first.layers[1].acs > 0
