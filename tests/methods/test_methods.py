import pytest
import torch
import torchvision
from torch import nn

import clipact as ca
from clipact.errors import CalibrationError, SelectionError, ThresholdError

METHODS = [ca.methods.Ranger, ca.methods.ClipToZero]


def small(activation=nn.ReLU):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), activation(),
        nn.Conv2d(4, 4, 3, padding=1), activation(), nn.Flatten(), nn.Linear(4 * 16, 3),
    ).eval()  # fmt: skip


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(16, 1, 4, 4, generator=generator) for _ in range(3)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("granularity", list(ca.Granularity))
@pytest.mark.parametrize("activation", [nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Hardswish])
def test_within_the_calibration_data_nothing_changes(method, granularity, activation, batches):
    model = small(activation)
    with torch.no_grad():
        before = [model(batch) for batch in batches]
        ca.protect(
            model, method(granularity=granularity, output_guard=True), batches, progress=False
        )
        for batch, logits in zip(batches, before, strict=True):
            assert torch.equal(model(batch), logits)


@pytest.mark.parametrize(
    ("method", "past"), [(ca.methods.Ranger(), "held"), (ca.methods.ClipToZero(), "dropped")]
)
def test_past_the_profiled_maximum(method, past, batches):
    model = small()
    ca.protect(model, method, batches, progress=False)
    threshold = ca.thresholds(model)["2.threshold"]
    x = torch.full((1, 4, 4, 4), threshold.item() * 1e6)
    expected = threshold.item() if past == "held" else 0.0
    assert torch.equal(model[2](x), torch.full_like(x, expected))
    assert torch.equal(model[2](torch.full_like(x, float("nan"))), torch.zeros_like(x))


@pytest.mark.parametrize("method", METHODS)
def test_two_sided_where_the_activation_goes_below_zero(method, batches):
    model = small(nn.GELU)
    profile = ca.calibrate(model, batches)
    ca.protect(model, method(), batches, progress=False)
    restricted = model[2]
    assert torch.equal(restricted.low, profile["2"].minimum())
    assert torch.equal(restricted.high, profile["2"].maximum())
    assert isinstance(restricted.activation, nn.GELU)


@pytest.mark.parametrize("method", METHODS)
def test_percentile_and_margin(method, batches):
    profile = ca.calibrate(small(), batches, quantiles="channel")
    model = small()
    ca.protect(model, method("channel", percentile=99.0, margin=1.5), batches, progress=False)
    expected = 1.5 * profile["2"].quantile(0.99, "channel")
    torch.testing.assert_close(model[2].threshold.data, expected)


def test_restore_is_bit_for_bit(batches):
    model = torchvision.models.resnet18(num_classes=4).train()
    model.layer1.eval()
    images = [torch.randn(4, 3, 32, 32)]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    shape = str(model)
    modes = [module.training for module in model.modules()]
    receipt = ca.protect(model, ca.methods.ClipToZero(output_guard=True), images, progress=False)
    assert len(ca.thresholds(model)) == 17 + 2
    receipt.restore()
    assert str(model) == shape
    assert list(model.state_dict()) == list(state)
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_the_guard_turns_an_impossible_logit_into_its_class_minimum(batches):
    model = small()
    with torch.no_grad():
        logits = torch.cat([model(batch) for batch in batches])
        low = logits.amin(0)
        ca.protect(
            model,
            ca.methods.ClipToZero(output_guard=True, guard_margin=1.0),
            batches,
            progress=False,
        )
        model[6].bias[1] += 1e6
        guarded = model(batches[0])
        model[6].bias[1] = float("nan")
        assert torch.equal(model(batches[0])[:, 1], low[1].expand(16))
    assert torch.equal(guarded[:, 1], low[1].expand(16))


@pytest.mark.parametrize("method", METHODS)
def test_the_layer_that_gives_the_output_is_left_to_the_guard(method, batches):
    kinds = (*ca.ACTIVATIONS, nn.Linear)
    for guard, names in ((True, ["2", "4", ""]), (False, ["2", "4", "6"])):
        receipt = ca.protect(
            small(), method(output_guard=guard), batches, kinds=kinds, progress=False
        )
        assert [site.name for site, _ in receipt.changes] == names


def test_the_guard_leaves_room(batches):
    model = small()
    profile = ca.calibrate(model, batches)
    ca.protect(
        model, ca.methods.Ranger(output_guard=True, guard_margin=2.0), batches, progress=False
    )
    high, low = profile.output.maximum("neuron"), profile.output.minimum("neuron")
    found = [
        value.data
        for name, value in ca.thresholds(model).items()
        if "." not in name or "guard" in name
    ]
    torch.testing.assert_close(found[-2:], [low - low.abs(), high + high.abs()])


def test_the_guard_needs_logits():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    with pytest.raises(CalibrationError, match="needs logits of shape"):
        ca.protect(
            model, ca.methods.Ranger(output_guard=True), torch.randn(2, 1, 5, 5), progress=False
        )
    assert type(model[1]) is nn.ReLU


@pytest.mark.parametrize("method", METHODS)
def test_no_site_is_an_error_and_changes_nothing(method):
    model = nn.Sequential(nn.Linear(3, 2))
    with pytest.raises(SelectionError):
        ca.protect(model, method(), torch.randn(4, 3), progress=False)
    assert str(model) == str(nn.Sequential(nn.Linear(3, 2)))


@pytest.mark.parametrize("method", METHODS)
def test_empty_and_broken_calibration_data_change_nothing(method):
    model = small()
    shape = str(model)
    for data in ([], [torch.full((2, 1, 4, 4), float("nan"))]):
        with pytest.raises(CalibrationError):
            ca.protect(model, method(), data, progress=False)
        assert str(model) == shape


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"percentile": 0.0}, "percentile=0.0"),
        ({"percentile": 101.0}, "percentile=101.0"),
        ({"margin": 0.0}, "margin=0.0"),
        ({"guard_margin": -1.0}, "margin=-1.0"),
        ({"margin": float("nan")}, "margin=nan"),
        ({"granularity": "neuron", "percentile": 99.0}, "by neuron"),
        ({"granularity": "pixel"}, "pixel"),
    ],
)
def test_bad_arguments_are_refused_at_construction(method, arguments, message):
    with pytest.raises(ValueError, match=message):
        method(**arguments)


def test_methods_print_as_they_are_written():
    assert repr(ca.methods.ClipToZero(margin=1.1)).startswith("ClipToZero(granularity=")
    assert ca.methods.Ranger() == ca.methods.Ranger()


def test_where_narrows(batches):
    model = small()
    ca.protect(model, ca.methods.Ranger(), batches, where=ca.where.last(), progress=False)
    assert list(ca.thresholds(model)) == ["4.threshold"]


def test_outputs_of_layers_on_request(batches):
    model = small()
    receipt = ca.protect(model, ca.methods.Ranger(), batches, kinds=(nn.Linear,), progress=False)
    with torch.no_grad():
        model[6].weight[0] = 1e9
        assert float(model(batches[0]).amax()) < 1e3
    receipt.restore()


@pytest.mark.parametrize("first", METHODS)
@pytest.mark.parametrize("second", METHODS)
def test_protecting_twice_changes_nothing_within_the_data(first, second, batches):
    model = small()
    ca.protect(model, first(), batches, progress=False)
    wide = [3 * batch for batch in batches]
    with torch.no_grad():
        before = [model(batch) for batch in wide]
        ca.protect(model, second(), wide, progress=False)
        for batch, logits in zip(wide, before, strict=True):
            assert torch.equal(model(batch), logits)


@pytest.mark.parametrize("method", METHODS)
def test_a_capped_activation_keeps_its_cap(method):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU6(), nn.Linear(8, 3))
    x = 20 * torch.randn(64, 4)
    with torch.no_grad():
        logits = model(x)
        assert float(model[:2](x).max()) == 6.0
        ca.protect(model, method(), x, progress=False)
        assert torch.equal(model(x), logits)


class Scaled(nn.ReLU):
    def forward(self, x):
        return 1.7 * super().forward(x)


@pytest.mark.parametrize("method", METHODS)
def test_a_subclass_of_relu_is_not_taken_for_one(method, batches):
    model = small(Scaled)
    with torch.no_grad():
        logits = model(batches[0])
        ca.protect(model, method(), batches, progress=False)
        assert torch.equal(model(batches[0]), logits)


@pytest.mark.parametrize("method", METHODS)
def test_channels_of_sequences_on_request(method):
    model = nn.Sequential(nn.Conv1d(3, 5, 3), nn.ReLU())
    x = torch.randn(4, 3, 12)
    receipt = ca.protect(model, method("channel", channel_dim=1), x, progress=False)
    assert ca.thresholds(model)["1.threshold"].shape == (5, 1)
    receipt.restore()
    with pytest.raises(ThresholdError, match="default axis only"):
        method("channel", channel_dim=1, percentile=99.0)


def test_a_class_is_not_a_method(batches):
    with pytest.raises(TypeError, match=r"write for example ca\.methods\.ClipToZero\(\)"):
        ca.protect(small(), ca.methods.Ranger, batches)


@pytest.mark.parametrize(
    ("train", "validate", "name"), [(None, None, "train"), (3, None, "train"), ([], 3, "validate")]
)
def test_data_that_is_no_batches(train, validate, name):
    with pytest.raises(TypeError, match=f"protect.. got a (NoneType|int) as {name}; give batches"):
        ca.protect(small(), ca.methods.Ranger(), train, validate)


@pytest.mark.parametrize(
    "method", [ca.methods.ClipToZero(), ca.methods.FitAct(descent=ca.training.Descent(1e-2, 1))]
)
def test_in_inference_mode_thresholds_can_still_be_trained_and_set(method, batches):
    data = [(batch, torch.zeros(16, dtype=torch.long)) for batch in batches]
    model = small()
    with torch.no_grad():
        model[-1].bias[0] += 10
    with torch.inference_mode():
        ca.protect(model, method, data[:2], data[2:], progress=False)
    for threshold in ca.thresholds(model).values():
        assert not threshold.is_inference()
