"""Folded, as a snntorch network, through NIR and ONNX: the spikes stay the same."""

import pytest
import snntorch
import torch
from torch import nn

from clipact.errors import SpikingError
from clipact.nn import HoyerSpike
from clipact.spiking import (
    HoyerRegularizer,
    blocks,
    calibrate_statistics_,
    fold,
    from_nir,
    to_leaky,
    to_nir,
)

nir = pytest.importorskip("nir")


def conv(inputs, outputs, *, early=False, late=False, **options):
    return [
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        *([nn.MaxPool2d(2)] if early else []),
        nn.BatchNorm2d(outputs),
        HoyerSpike(v_threshold=0.8, **options),
        *([nn.MaxPool2d(2)] if late else []),
    ]


def network(channels=None, **options):
    """Every order of layers that there is, with statistics and scales that are not the initial ones."""
    torch.manual_seed(0)
    model = nn.Sequential(
        *conv(1, 8, num_features=8 if channels else None, **options),
        *conv(8, 8, early=True, num_features=8 if channels else None, **options),
        *conv(8, 8, late=True, **options),
        nn.Dropout(0.2),
        blocks.Residual(8, 12, stride=2, spike=lambda c: HoyerSpike(v_threshold=0.7, **options)),
        blocks.Residual(12, 12, spike=lambda c: HoyerSpike(v_threshold=0.7, **options)),
        HoyerSpike(v_threshold=0.6, **options),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 16),
        nn.BatchNorm1d(16),
        HoyerSpike(**options),
        nn.Linear(16, 3),
    )
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(layer.weight, 0.5, 2.0)
            nn.init.normal_(layer.bias, std=0.3)
    calibrate_statistics_(model, torch.randn(64, 1, 16, 16))
    return model.eval()


X = torch.randn(32, 1, 16, 16, generator=torch.Generator().manual_seed(7))


def spikes(model, kinds, x=X):
    sent = []
    handles = [
        m.register_forward_hook(lambda m, a, y: sent.append(y))
        for m in model.modules()
        if isinstance(m, kinds)
    ]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return sent


@pytest.mark.parametrize("channels", [False, True])
def test_a_folded_network_gives_the_same(channels):
    model = network(channels)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    folded = fold(model)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not any(isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d) for m in folded.modules())
    thresholds = [m.effective_threshold for m in folded.modules() if isinstance(m, HoyerSpike)]
    assert sum(bool((t == 1).all()) for t in thresholds) == 4  # those behind a sum keep theirs
    assert not any(p.requires_grad for p in folded.parameters())
    ours, theirs = spikes(model, HoyerSpike), spikes(folded, HoyerSpike)
    assert all(0 < a.mean() < 1 for a in ours)
    assert sum((a != b).sum() for a, b in zip(ours, theirs, strict=True)) <= 2
    assert torch.allclose(folded(X), model(X), atol=1e-4)


def test_several_levels_keep_their_thresholds():
    model = network(levels=4)
    folded = fold(model)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    assert [m.levels for m in folded.modules() if isinstance(m, HoyerSpike)] == [4] * 7
    assert torch.allclose(folded(X), model(X), atol=1e-3)


def test_a_negative_scale_behind_a_max_pool():
    model = network()
    with torch.no_grad():
        model[5].weight[3] = -1.0
    with pytest.raises(
        SpikingError, match=r"'5' has a negative scale in channels \[3\] behind the max-pool '4'"
    ):
        fold(model)
    with torch.no_grad():
        model[5].weight[3] = 1.0
        model[1].weight[2] = -1.0  # no pool in between
    assert torch.allclose(fold(model)(X), model(X), atol=1e-4)


def test_what_cannot_be_folded_is_named():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.spike = nn.Linear(4, 4), HoyerSpike()

        def forward(self, x):
            return self.linear(self.spike(self.linear(x)))

    with pytest.raises(SpikingError, match="fold\\(\\) of Twice: linear is called several times"):
        fold(Twice())

    class Deciding(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(SpikingError, match="cannot be traced"):
        fold(Deciding())


def settled(*layers, x):
    """In eval mode, with statistics that are not the initial ones."""
    model = nn.Sequential(*layers)
    for layer in model:
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(layer.weight, 0.5, 2.0)
            nn.init.normal_(layer.bias, std=0.3)
    calibrate_statistics_(model, x)
    return model.eval()


@pytest.mark.parametrize(
    ("layers", "folded"),
    [
        ((nn.Linear(5, 6), nn.BatchNorm1d(6), HoyerSpike()), 0),  # normalises steps, of which there are as many
        ((nn.Linear(5, 4), nn.BatchNorm1d(6), HoyerSpike()), 0),
        ((nn.Linear(5, 6), HoyerSpike(6)), 0),  # a threshold a step
        ((nn.Linear(5, 6), HoyerSpike(v_threshold=torch.rand(6, 1) + 0.5)), 0),
        ((nn.Linear(5, 6), HoyerSpike(v_threshold=torch.rand(6) + 0.5)), 1),
        ((nn.Linear(5, 4), HoyerSpike(4, channel_dim=-1)), 1),
    ],
)  # fmt: skip
def test_linear_layers_on_sequences(layers, folded):
    torch.manual_seed(0)
    x = torch.randn(64, 6, 5)
    last = nn.Linear(layers[0].out_features, 2)
    model = settled(*layers, last, x=x)
    small = fold(model, example=x[:2])
    assert torch.allclose(small(x), model(x), atol=1e-5)
    assert not torch.allclose(small(x), small(-x))
    spike = next(m for m in small if isinstance(m, HoyerSpike))
    assert bool((spike.effective_threshold == 1).all()) == bool(folded)


@pytest.mark.parametrize(
    ("spike", "folded"),
    [
        (HoyerSpike(8, channel_dim=2), False),
        (HoyerSpike(8, channel_dim=-1), False),
        (HoyerSpike(8, channel_dim=-3), True),
        (HoyerSpike(v_threshold=torch.rand(8) + 0.5), False),
        (HoyerSpike(v_threshold=torch.rand(8, 1) + 0.5), False),
        (HoyerSpike(8, v_threshold=torch.rand(8, 1, 1) + 0.5), True),
        (HoyerSpike(v_threshold=torch.rand(1, 8, 1, 1) + 0.5), True),
        (HoyerSpike(8, v_threshold=torch.rand(8, 8, 8) + 0.5), False),
    ],
)
def test_thresholds_along_other_axes_than_the_channels(spike, folded, tmp_path):
    torch.manual_seed(0)
    x = torch.randn(32, 3, 8, 8)
    model = settled(nn.Conv2d(3, 8, 3, padding=1), spike, nn.Conv2d(8, 2, 8), x=x)
    small = fold(model)
    assert torch.allclose(small(x), model(x), atol=1e-5)
    assert (small[1].v_threshold.numel() == 1 == small[1].effective_threshold.max()) == folded
    assert torch.equal(to_leaky(model, example=x)(x), model(x))
    nir.write(tmp_path / "net.nir", to_nir(model, x[:2]))
    assert torch.allclose(from_nir(nir.read(tmp_path / "net.nir"))(x), model(x), atol=1e-5)


def doubled(_layer, _inputs, output):
    return output * 2


def test_layers_with_hooks_are_left_alone():
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    for hooked in (0, 1, 2):
        model = settled(nn.Linear(4, 6), nn.BatchNorm1d(6), HoyerSpike(), nn.Linear(6, 2), x=x)
        model[hooked].register_forward_hook(doubled)
        assert torch.allclose(fold(model)(x), model(x), atol=1e-5)
    model = settled(nn.Linear(4, 6), nn.BatchNorm1d(6), HoyerSpike(), nn.Linear(6, 2), x=x)
    with HoyerRegularizer(model, 1.0):
        assert fold(model)[2].effective_threshold == 1


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
def test_weights_that_are_computed_anew():
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    for wrap in (nn.utils.weight_norm, nn.utils.parametrizations.weight_norm):
        model = nn.Sequential(
            wrap(nn.Linear(4, 6)), nn.BatchNorm1d(6), HoyerSpike(), nn.Linear(6, 2)
        )
        with torch.no_grad():
            calibrate_statistics_(model, x)
            model.eval()(x)
            assert torch.allclose(fold(model)(x), model(x), atol=1e-5)
    model = nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 6)), HoyerSpike())
    model(x)
    for convert in (fold, to_leaky):
        with pytest.raises(SpikingError, match=r"cannot be copied .* permanent before$"):
            convert(model)


class Listed(nn.Module):
    """Registers its layers twice, and runs them under the second name."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 6), nn.BatchNorm1d(6), HoyerSpike(6), nn.Linear(6, 2)])  # fmt: skip
        self.features = nn.Sequential(*self.layers)

    def forward(self, x):
        return self.features(x)


def test_layers_with_two_names():
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    model = Listed()
    calibrate_statistics_(model, x)
    model.eval()
    folded, leaky = fold(model), to_leaky(model, example=x)
    for copy_, kind in ((folded, nn.Identity), (leaky, snntorch.Leaky)):
        assert torch.allclose(copy_(x), model(x), atol=1e-5)
        assert len([m for m in copy_.modules() if isinstance(m, kind)]) == 1
        assert copy_.layers[2] is copy_.features[2]
    assert not any(isinstance(m, HoyerSpike) for m in leaky.modules())


class SharedPool(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
        self.one, self.two = HoyerSpike(), HoyerSpike()
        self.pool, self.drop = nn.MaxPool2d(2), nn.Dropout()

    def forward(self, x):
        return self.drop(self.two(self.pool(self.second(self.drop(self.one(self.pool(self.first(x))))))))  # fmt: skip


def test_layers_without_state_may_be_called_several_times():
    torch.manual_seed(0)
    model = SharedPool()
    calibrate_statistics_(model, X)
    model.eval()
    assert fold(model).one.effective_threshold == fold(model).two.effective_threshold == 1
    assert torch.equal(fold(model)(X), model(X))
    assert torch.equal(from_nir(to_nir(model, X[:2]))(X), model(X))


@pytest.mark.parametrize("hit", [0.0, -0.5, float("inf"), float("nan")])
def test_a_threshold_that_a_fault_has_hit_is_kept(hit):
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    model = settled(nn.Linear(4, 6), HoyerSpike(6), nn.Linear(6, 2), x=x)
    model[1].running_extremum[2] = hit
    assert torch.equal(fold(model)(x), model(x))


def test_tied_weights_are_not_folded_twice():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 4, bias=False), nn.BatchNorm1d(4), HoyerSpike(), nn.Linear(4, 4, bias=False)
    ).eval()
    model[3].weight = model[0].weight
    model[1].running_var.fill_(4.0)
    nn.init.normal_(model[0].weight, std=3.0)
    x = torch.randn(16, 4)
    assert model(x).std() > 0.5
    assert torch.allclose(fold(model)(x), model(x), atol=1e-5)


@pytest.mark.parametrize("channels", [False, True])
def test_a_network_of_leaky_neurons_sends_the_same_spikes(channels):
    model = network(channels)
    leaky = to_leaky(model, example=X[:2])
    assert not any(isinstance(m, HoyerSpike) for m in leaky.modules())
    ours, theirs = spikes(model, HoyerSpike), spikes(leaky, snntorch.Leaky)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    again = spikes(to_leaky(fold(model)), snntorch.Leaky)
    assert sum((a != b).sum() for a, b in zip(ours, again, strict=True)) <= 2


def test_at_the_threshold_both_spike():
    spike = nn.Sequential(HoyerSpike(v_threshold=0.3)).eval()
    x = spike[0].effective_threshold.reshape(1, 1)
    assert to_leaky(spike)(x).item() == spike(x).item() == 1


def test_no_leaky_network_without_single_spikes():
    with pytest.raises(SpikingError, match="no HoyerSpike"):
        to_leaky(nn.Sequential(nn.ReLU()))
    with pytest.raises(SpikingError, match=r"0 \(levels=4\) gives several levels"):
        to_leaky(nn.Sequential(HoyerSpike(levels=4)))
    with pytest.raises(SpikingError, match="'0' has a threshold for each channel; give example="):
        to_leaky(nn.Sequential(HoyerSpike(3)))
    for dtype in (torch.float64, torch.bfloat16):
        with pytest.raises(
            SpikingError, match=rf"has parameters of {dtype}, and .*float\(\) first"
        ):
            to_leaky(nn.Sequential(nn.Linear(2, 2), HoyerSpike()).to(dtype))


@pytest.mark.parametrize("channels", [False, True])
def test_through_nir_and_back(channels, tmp_path):
    model = network(channels)
    graph = to_nir(model, X[:2])
    assert not any("BatchNorm" in type(node).__name__ for node in graph.nodes.values())
    nir.write(tmp_path / "net.nir", graph)
    back = from_nir(nir.read(tmp_path / "net.nir"))
    with torch.no_grad():
        assert torch.allclose(back(X), model(X), atol=1e-4)
    ours = fold(model)
    with torch.no_grad():
        assert torch.allclose(back(X), ours(X), atol=1e-5)


def test_nir_graphs_of_one_dimension(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv1d(2, 4, 3, stride=2, padding=1, groups=2), nn.BatchNorm1d(4), HoyerSpike(), nn.Flatten(), nn.Linear(16, 2, bias=False)
    ).eval()  # fmt: skip
    x = torch.randn(5, 2, 8)
    nir.write(tmp_path / "net.nir", to_nir(model, x))
    assert torch.allclose(from_nir(nir.read(tmp_path / "net.nir"))(x), model(x), atol=1e-5)


def test_what_nir_has_no_node_for():
    with pytest.raises(SpikingError, match=r"no node for '1' \(GELU\)"):
        to_nir(nn.Sequential(nn.Linear(2, 2), nn.GELU()), torch.randn(1, 2))
    with pytest.raises(SpikingError, match=r"\(HoyerSpike\(levels=2\)\)"):
        to_nir(nn.Sequential(nn.Linear(2, 2), HoyerSpike(levels=2)), torch.randn(1, 2))
    with pytest.raises(SpikingError, match="MaxPool2d of values that are no spikes"):
        to_nir(nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2)), torch.randn(1, 1, 8, 8))
    reflecting = nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")
    with pytest.raises(SpikingError, match=r"no node for '0' \(padding_mode='reflect'\)"):
        to_nir(nn.Sequential(reflecting), torch.randn(1, 1, 8, 8))
    with pytest.raises(SpikingError, match=r"no node for '0' \(Linear of a sequence\)"):
        to_nir(nn.Sequential(nn.Linear(2, 2), HoyerSpike()), torch.randn(1, 3, 2))
    behind = HoyerSpike(v_threshold=torch.ones(1, 4, 4))
    with pytest.raises(SpikingError, match="threshold for each neuron behind a pool"):
        to_nir(nn.Sequential(nn.Conv2d(1, 1, 1), nn.MaxPool2d(2), behind), torch.randn(1, 1, 8, 8))
    import numpy as np

    one = np.ones(2, np.float32)
    lif = nir.NIRGraph.from_list(nir.LIF(tau=one, r=one, v_leak=one, v_threshold=one))
    with pytest.raises(SpikingError, match="is a LIF, which is no layer of one time step"):
        from_nir(lif)


@pytest.mark.parametrize(
    ("last", "what"),
    [
        (lambda spikes, x: spikes + spikes, "the sum of a value with itself"),
        (lambda spikes, x: spikes + 0.5, "a sum of other things than two values"),
        (lambda spikes, x: torch.add(spikes, x, alpha=2), "a sum of other things than two values"),
        (lambda spikes, x: spikes + nn.functional.adaptive_avg_pool2d(spikes, 1), "of different shapes"),
        (lambda spikes, x: (spikes, x), "2 outputs"),
        (lambda spikes, x: torch.cat([spikes, x]), r"\(cat\)"),
    ],
)  # fmt: skip
def test_sums_and_outputs_that_nir_does_not_have(last, what):
    class Ending(nn.Module):
        def __init__(self):
            super().__init__()
            self.spike = HoyerSpike()

        def forward(self, x):
            return last(self.spike(x), x)

    with pytest.raises(SpikingError, match=what):
        to_nir(Ending(), torch.randn(2, 3, 4, 4))


@pytest.mark.parametrize(
    "example", [torch.randn(2, 5), torch.ones(2, 4).long(), (torch.randn(2, 4),), None, torch.tensor(1.0)]
)  # fmt: skip
def test_an_example_that_does_not_fit(example, capsys):
    network = nn.Sequential(nn.Linear(4, 4), HoyerSpike())
    with pytest.raises(
        SpikingError, match=r"of Sequential: the network does not take the example"
    ) as e:
        to_nir(network, example)
    assert "\n" not in str(e.value)
    assert not capsys.readouterr().err


def test_something_else_than_a_graph(tmp_path):
    for wrong in (None, tmp_path / "net.nir"):
        with pytest.raises(SpikingError, match=r"from_nir\(\) got a .*; give a nir.NIRGraph"):
            from_nir(wrong)


def test_onnx_has_the_hard_form(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    folded = fold(network())
    path = tmp_path / "net.onnx"
    torch.onnx.export(folded, (X,), path, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(path)
    (found,) = session.run(None, {session.get_inputs()[0].name: X.numpy()})
    assert torch.allclose(torch.from_numpy(found), folded(X), atol=1e-4)


@pytest.mark.parametrize("made", [fold, to_leaky, lambda net: from_nir(to_nir(net, torch.randn(2, 4)))])  # fmt: skip
def test_what_is_made_in_inference_mode_is_of_plain_tensors(made):
    net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), HoyerSpike(), nn.Linear(8, 2)).eval()
    with torch.inference_mode():
        found = made(net)
    tensors = [*found.parameters(), *found.buffers()]
    assert tensors
    assert not any(tensor.is_inference() for tensor in tensors)
    torch.testing.assert_close(found(X[:, 0, 0, :4]), net(X[:, 0, 0, :4]))
