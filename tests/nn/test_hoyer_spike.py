import copy
import pickle

import numpy as np
import pytest
import torch
from snntorch import surrogate

import clipact as ca
from clipact.errors import SpikingError, ThresholdError
from clipact.functional import hoyer_extremum, hoyer_spike
from clipact.nn import HoyerSpike


def batch(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def settings_and_inputs():
    yield {}, (4, 3, 8, 8)
    yield {"num_features": 3}, (4, 3, 8, 8)
    yield {"num_features": 3, "exclude_saturated": True, "v_threshold": 0.7}, (4, 3, 8, 8)
    yield {"num_features": 8, "channel_dim": -1, "levels": 4}, (4, 3, 8)
    yield {"num_features": 5, "levels": 2, "v_threshold": torch.linspace(0.5, 2, 5)}, (9, 5)
    yield {"num_features": 3, "v_threshold": torch.ones(3, 1, 1), "threshold_scale": 1.3}, (4, 3, 8, 8)  # fmt: skip
    yield {"spike_grad": surrogate.atan(), "window": (0.0, 1.0), "grad_scale": 1.0}, (4, 3)


each_setting = pytest.mark.parametrize(("settings", "shape"), list(settings_and_inputs()))


def functional(x, settings, extremum=None):
    """What the module does, from the functions alone."""
    settings = dict(settings)
    features = settings.pop("num_features", None)
    dim = settings.pop("channel_dim", 1)
    v, scale = settings.pop("v_threshold", 1.0), settings.pop("threshold_scale", 1.0)
    found = hoyer_extremum(
        x,
        v,
        levels=settings.get("levels", 1),
        channel_dim=None if features is None else dim,
        exclude_saturated=settings.pop("exclude_saturated", False),
    )
    place = found if extremum is None else extremum.reshape(found.shape)
    return hoyer_spike(x, v, place * scale, **settings), found.flatten()


@each_setting
def test_training_uses_the_extremum_of_the_batch_and_evaluation_the_one_followed(settings, shape):
    layer = HoyerSpike(**settings)
    found = []
    for seed in range(3):
        expected, extremum = functional(batch(*shape, seed=seed), settings)
        assert torch.equal(layer(batch(*shape, seed=seed)), expected)
        found.append(extremum)
    mean = torch.stack(found).mean(0)
    torch.testing.assert_close(layer.running_extremum, mean)
    assert layer.batches_seen.unique().tolist() == [3]
    layer.eval()
    expected, _ = functional(batch(*shape, seed=9), settings, layer.running_extremum)
    assert torch.equal(layer(batch(*shape, seed=9)), expected)
    assert layer.batches_seen.unique().tolist() == [3]


def test_the_mean_of_the_first_batches_then_an_exponential_average():
    layer = HoyerSpike(momentum=0.25)
    found = [hoyer_extremum(batch(50, seed=seed) + seed / 5).item() for seed in range(10)]
    expected = found[0]
    for count, value in enumerate(found, start=1):
        expected += max(1 / count, 0.25) * (value - expected)
        layer(batch(50, seed=count - 1) + (count - 1) / 5)
        assert layer.running_extremum.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("empty", [-torch.ones(4, 2), torch.zeros(4, 2), torch.zeros(0, 2), torch.full((4, 2), torch.nan)])  # fmt: skip
@pytest.mark.parametrize("features", [None, 2])
def test_batches_without_anything_positive_leave_the_running_extremum(empty, features):
    layer = HoyerSpike(features)
    assert not layer(empty).any()
    assert layer.running_extremum.unique().tolist() == [1.0]
    layer(batch(4, 2))
    before = layer.running_extremum.clone()
    assert not layer(empty).any()
    assert torch.equal(layer.running_extremum, before)
    assert layer.batches_seen.unique().tolist() == [1]


def test_a_channel_without_anything_positive_keeps_its_own():
    layer = HoyerSpike(2)
    x = torch.tensor([[0.5, -1.0], [1.0, -2.0]])
    layer(x)
    assert layer.running_extremum.tolist() == pytest.approx([1.25 / 1.5, 1.0])
    assert layer.batches_seen.tolist() == [1, 0]


def test_nan_and_infinity_in_training_do_not_stay():
    layer = HoyerSpike()
    layer(torch.tensor([torch.nan, torch.inf, -torch.inf, 0.5]))
    assert layer.running_extremum.item() == pytest.approx(1.25 / 1.5)


def test_nan_is_passed_on_by_choice():
    x = torch.tensor([torch.nan, 2.0])
    assert HoyerSpike()(x).tolist() == [0, 1]
    y = HoyerSpike(nan_to_zero=False)(x)
    assert y.isnan().tolist() == [True, False]


@each_setting
def test_the_effective_threshold_is_where_spikes_begin(settings, shape):
    layer = HoyerSpike(**settings)
    layer(batch(*shape))
    layer.eval()
    features, dim = settings.get("num_features", 1), settings.get("channel_dim", 1)
    limit = layer.effective_threshold.flatten()
    assert limit.shape == (features,)
    assert not limit.requires_grad
    size = [shape[1] if settings.get("num_features") is None else 1 for _ in shape]
    if settings.get("num_features") is not None:
        size[dim] = features
    reached = limit.reshape(size) if features > 1 else limit.expand(1, shape[1]).clone()
    if len(shape) == 4 and features == 1:
        reached = limit.reshape(1, 1, 1, 1)
    assert not layer(reached * 0.999).any()
    assert layer(reached * 1.001).all()


@pytest.mark.parametrize(
    ("channel_dim", "size"), [(1, (4, 1, 1)), (1, (4, 5, 6)), (-1, (6,)), (-1, (5, 6)), (2, (4, 5, 1))]
)  # fmt: skip
def test_the_effective_threshold_where_the_clip_value_has_a_granularity(channel_dim, size):
    x = batch(8, 4, 5, 6)
    v = torch.rand(size) + 0.5
    layer = HoyerSpike(x.shape[channel_dim], channel_dim=channel_dim, v_threshold=v)
    layer(x)
    layer.eval()
    limit = layer.effective_threshold.expand(1, 4, 5, 6)
    assert not layer(limit * 0.999).any()
    assert layer(limit * 1.001).all()


def test_the_threshold_is_listed_and_trained_unless_told_otherwise():
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 3), HoyerSpike(), HoyerSpike(learn_threshold=False)
    )
    assert list(ca.thresholds(model)) == ["1.v_threshold", "2.v_threshold"]
    assert model[1].v_threshold.requires_grad
    assert not model[2].v_threshold.requires_grad
    model(batch(5, 3)).sum().backward()
    assert model[1].v_threshold.grad is not None
    assert model[2].v_threshold.grad is None


def test_it_takes_the_place_of_a_relu():
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    x = batch(2, 3, 8, 8)
    receipt = ca.replace_activations(model, lambda site: HoyerSpike(site.shape[1]), example=x)
    assert set(model(x).unique().tolist()) == {0.0, 1.0}
    assert model[1].position == 0
    receipt.restore()
    assert isinstance(model[1], torch.nn.ReLU)


@each_setting
def test_saving_copying_and_loading(settings, shape, tmp_path):
    layer = HoyerSpike(**settings)
    layer(batch(*shape))
    torch.save(layer.state_dict(), tmp_path / "state.pt")
    other = HoyerSpike(**settings)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for each in (other, copy.deepcopy(layer)):
        assert torch.equal(each.eval()(batch(*shape)), layer.eval()(batch(*shape)))
    if "spike_grad" not in settings:  # those of snntorch are local functions
        assert torch.equal(pickle.loads(pickle.dumps(layer))(batch(*shape)), layer(batch(*shape)))


def test_statistics_can_be_forgotten():
    layer = HoyerSpike(3)
    layer(batch(4, 3))
    layer.reset_statistics()
    assert layer.running_extremum.tolist() == [1, 1, 1]
    assert layer.batches_seen.tolist() == [0, 0, 0]


def test_frozen_modes():
    x = batch(100)
    layer = HoyerSpike().eval()
    assert torch.equal(layer(x), (x >= 1).float())
    with torch.no_grad():
        layer.train()(x)
    assert layer.batches_seen.item() == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype):
    layer = HoyerSpike(3).to(dtype)
    x = (batch(64, 3, 32, 32) * 3).to(dtype)
    y = layer(x.requires_grad_())
    assert y.dtype is dtype
    y.sum().backward()
    assert layer.v_threshold.grad.dtype is dtype
    expected = hoyer_extremum(x.detach().double(), channel_dim=1).flatten()
    torch.testing.assert_close(layer.running_extremum.double(), expected, rtol=0.01, atol=0)


def test_autocast():
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), HoyerSpike(), torch.nn.Linear(8, 2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = model(batch(16, 8))
    y.float().sum().backward()
    assert model[1].v_threshold.grad.dtype is torch.float32
    assert model[1].running_extremum.dtype is torch.float32


def test_vmap_over_samples_in_both_modes():
    layer = HoyerSpike()
    layer(batch(4, 20))
    before = layer.running_extremum.clone()
    state = {**dict(layer.named_parameters()), **dict(layer.named_buffers())}

    def loss(state, x):
        return torch.func.functional_call(layer, state, (x,)).sum()

    x = batch(4, 20, seed=1)
    for training in (True, False):
        layer.train(training)
        found = torch.func.vmap(loss, in_dims=(None, 0))(state, x)
        alone = [functional(each, {}, None if training else before)[0].sum() for each in x]
        assert torch.equal(found, torch.stack(alone))
        grads = torch.func.vmap(torch.func.grad(loss, argnums=1), in_dims=(None, 0))(state, x)
        assert grads.abs().sum() > 0
    assert torch.equal(layer.running_extremum, before)


@pytest.mark.parametrize("momentum", [0.0, -0.1, 1.1, float("nan")])
def test_a_momentum_outside_its_range(momentum):
    with pytest.raises(SpikingError, match="momentum="):
        HoyerSpike(momentum=momentum)
    HoyerSpike(momentum=1.0)


@pytest.mark.parametrize("settings", [{"num_features": 0}, {"num_features": 2.0}, {"num_features": True}, {"channel_dim": 1.0}, {"channel_dim": None}, {"momentum": None}, {"levels": 0}, {"levels": 1.5}, {"window": (1.0,)}, {"threshold_scale": 0.0}, {"threshold_scale": float("inf")}, {"window": (2.0, 1.0)}, {"grad_scale": -1.0}, {"spike_grad": "atan"}])  # fmt: skip
def test_settings_without_meaning(settings):
    with pytest.raises(SpikingError, match=next(iter(settings))):
        HoyerSpike(**settings)


@pytest.mark.parametrize(
    "v", [0.0, -1.0, float("nan"), float("inf"), torch.tensor([1.0, 0.0]), torch.tensor([1])]
)
def test_a_clip_value_that_is_not_positive(v):
    with pytest.raises(ThresholdError, match="v_threshold"):
        HoyerSpike(v_threshold=v)


def test_another_number_of_channels():
    with pytest.raises(SpikingError, match=r"num_features=4 met .* \(2, 3, 8, 8\), which has 3"):
        HoyerSpike(4)(batch(2, 3, 8, 8))


def test_a_channel_dimension_out_of_range():
    with pytest.raises(SpikingError, match="channel_dim=3"):
        HoyerSpike(4, channel_dim=3)(batch(2, 4))
    with pytest.raises(SpikingError, match="channel_dim=1"):
        HoyerSpike(4)(batch(4))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_an_input_that_is_not_floating_point(training, dtype):
    with pytest.raises(ThresholdError, match=str(dtype)):
        HoyerSpike().train(training)(torch.ones(2, 3, dtype=dtype))


def test_a_surrogate_that_returns_another_shape():
    with pytest.raises(SpikingError, match="spike_grad returned"):
        HoyerSpike(spike_grad=lambda x: x.sum())(batch(5))


def test_what_it_says_of_itself():
    assert repr(HoyerSpike()) == "HoyerSpike(v_threshold=1)"
    shown = repr(HoyerSpike(8, levels=4, threshold_scale=1.5, v_threshold=0.5))
    assert shown == "HoyerSpike(8, v_threshold=0.5, levels=4, threshold_scale=1.5)"


def test_out_of_range_is_nan_alone():
    x = torch.tensor([torch.nan, torch.inf, 5.0])
    assert HoyerSpike().out_of_range(x).tolist() == [True, False, False]


@pytest.mark.slow
@pytest.mark.parametrize("levels", [1, 4])
def test_compiles_in_one_graph_and_follows_the_same_statistics(levels):
    torch._dynamo.reset()
    eager, compiled = HoyerSpike(3, levels=levels), HoyerSpike(3, levels=levels)
    fused = torch.compile(compiled, fullgraph=True, dynamic=False)
    for seed in range(2):
        results = []
        for layer in (eager, fused):
            x = batch(4, 3, 8, 8, seed=seed).requires_grad_()
            y = layer(x)
            y.square().sum().backward()
            results.append((y.detach(), x.grad))
        torch.testing.assert_close(*results)
    torch.testing.assert_close(compiled.running_extremum, eager.running_extremum)
    torch.testing.assert_close(
        compiled.v_threshold.grad, eager.v_threshold.grad, rtol=1e-4, atol=1e-4
    )
    assert torch.equal(fused.eval()(batch(4, 3, 8, 8)), eager.eval()(batch(4, 3, 8, 8)))


@pytest.mark.slow
@pytest.mark.parametrize("levels", [1, 4])
def test_exports(levels, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    layer = HoyerSpike(3, levels=levels)
    layer(batch(4, 3, 8, 8))
    layer.eval()
    x = batch(4, 3, 8, 8, seed=1)
    program = torch.export.export(layer, (x,))
    assert torch.equal(program.module()(x), layer(x))
    torch.onnx.export(layer, (x,), tmp_path / "spike.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "spike.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(found, layer(x).detach().numpy(), rtol=1e-6)
