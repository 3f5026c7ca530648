import pytest
import torch
import torch.nn.functional as F
from torch import nn

import clipact as ca
from clipact.calibration import Profile, calibrate
from clipact.errors import CalibrationError, SelectionError


class Net(nn.Module):
    """Convolutions with one ReLU used twice, a functional call, a batch norm and a linear head."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(4 * 6 * 6, 3)

    def forward(self, x):
        x = self.relu(self.norm(self.conv(x)))
        x = self.relu(self.conv_again(x))
        return self.head(F.relu(x - 0.1).flatten(1))

    def conv_again(self, x):
        return x - x.mean((1, 2, 3), keepdim=True)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(size, 1, 6, 6, generator=generator) for size in (8, 8, 5)]


def outputs_by_hand(model, batches):
    model = model.eval()
    with torch.no_grad():
        x = torch.cat(batches)
        return model.norm(model.conv(x)).relu()


def test_extremes_are_exact_at_every_granularity(model, batches):
    profile = calibrate(model, batches)
    assert list(profile) == ["relu", "relu_2", "relu_3"]
    values = outputs_by_hand(model, batches)
    site = profile["relu"]
    assert site.samples == 21
    torch.testing.assert_close(site.maximum("neuron"), values.amax(0))
    torch.testing.assert_close(site.maximum("channel"), values.amax((0, 2, 3)).reshape(4, 1, 1))
    torch.testing.assert_close(site.maximum(), values.amax().reshape(1))
    torch.testing.assert_close(site.minimum("channel"), values.amin((0, 2, 3)).reshape(4, 1, 1))
    torch.testing.assert_close(site.mean(), values.mean().reshape(1))
    torch.testing.assert_close(
        site.std("channel").flatten(), values.movedim(1, 0).flatten(1).std(1, correction=0)
    )
    torch.testing.assert_close(
        site.quantile(0.9), values.flatten().quantile(0.9).reshape(1), rtol=0.02, atol=1e-3
    )


def test_the_output_is_profiled_too(model, batches):
    profile = calibrate(model, batches)
    with torch.no_grad():
        logits = model.eval()(torch.cat(batches))
    torch.testing.assert_close(profile.output.maximum("neuron"), logits.amax(0))


def test_hands_the_model_back_as_it_was(model, batches):
    model.train()
    model.norm.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    calibrate(model, batches)
    assert [module.training for module in model.modules()] == [True, True, False, True, True]
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_parts_merge_to_the_whole(model, batches):
    whole, parts = (
        calibrate(model, batches),
        calibrate(model, batches[:1]) | calibrate(model, batches[1:]),
    )
    for name in whole:
        assert torch.equal(whole[name].maximum("neuron"), parts[name].maximum("neuron"))
        assert torch.equal(whole[name].quantile(0.7), parts[name].quantile(0.7))
        torch.testing.assert_close(whole[name].std("neuron"), parts[name].std("neuron"))
    assert torch.equal(whole.output.maximum("neuron"), parts.output.maximum("neuron"))


def test_survives_saving_with_weights_only(model, batches, tmp_path):
    profile = calibrate(model, batches, quantiles="channel")
    torch.save(profile.state_dict(), tmp_path / "profile.pt")
    again = Profile.from_state_dict(torch.load(tmp_path / "profile.pt", weights_only=True))
    assert str(again) == str(profile)
    assert torch.equal(
        again["relu"].quantile(0.5, "channel"), profile["relu"].quantile(0.5, "channel")
    )


def test_where_narrows(model, batches):
    assert list(calibrate(model, batches, where=ca.where.last())) == [
        list(calibrate(model, batches))[-1]
    ]


@pytest.mark.parametrize(
    "wrap", [lambda b: b, lambda b: (b, torch.zeros(len(b))), lambda b: {"x": b}]
)
def test_batches_may_be_tensors_pairs_or_mappings(model, batches, wrap):
    profile = calibrate(model, [wrap(batch) for batch in batches])
    assert profile["relu"].samples == 21


def test_a_generator_is_used_up_once(model, batches):
    assert calibrate(model, (batch for batch in batches))["relu"].samples == 21


def test_a_single_tensor_is_one_batch(model, batches):
    assert calibrate(model, batches[0])["relu"].samples == 8


@pytest.mark.parametrize("empty", [[], iter(())])
def test_an_empty_calibration_set(model, empty):
    with pytest.raises(CalibrationError, match="calibration set is empty"):
        calibrate(model, empty)


def test_a_batch_of_no_samples(model):
    with pytest.raises(CalibrationError, match="at least one sample"):
        calibrate(model, [torch.zeros(0, 1, 6, 6)])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_broken_data_names_batch_and_site(model, batches, value):
    model.train()
    broken = batches[1].clone()
    broken[0, 0, 0, 0] = value
    with pytest.raises(
        CalibrationError, match=r"batch 1 gives NaN or infinite activations at relu"
    ):
        calibrate(model, [batches[0], broken])
    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_no_site_says_what_it_could_not_see():
    class Odd(nn.Module):
        def forward(self, x):
            return x.clamp_min(0)

    with pytest.raises(SelectionError, match=r"no site of these kinds; name others in kinds=.*Odd"):
        calibrate(nn.Sequential(nn.Linear(3, 2), Odd()), torch.randn(4, 3))


def test_meta_tensors_have_no_values():
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    with pytest.raises(CalibrationError, match="on meta at '1'; calibration needs real batches"):
        calibrate(model, torch.empty(4, 3, device="meta"))


def test_no_site_and_no_match(model, batches):
    with pytest.raises(SelectionError):
        calibrate(nn.Linear(36, 2), [torch.zeros(2, 36)])
    with pytest.raises(SelectionError, match="layer9"):
        calibrate(model, batches, where=ca.where.named("layer9*"))


def test_quantiles_that_were_not_kept(model, batches):
    profile = calibrate(model, batches)
    with pytest.raises(CalibrationError, match="keeps those of the layer"):
        profile["relu"].quantile(0.5, "channel")
    with pytest.raises(CalibrationError, match="keeps none"):
        calibrate(model, batches, quantiles=None)["relu"].quantile(0.5)
    with pytest.raises(CalibrationError, match="by neuron"):
        calibrate(model, batches, quantiles="neuron")
    with pytest.raises(CalibrationError, match="between 0 and 1"):
        profile["relu"].quantile(50)


def test_inputs_of_different_sizes_keep_channels_and_refuse_neurons():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    batches = [torch.randn(3, 1, 8, 8), torch.randn(3, 1, 10, 6)]
    site = calibrate(model, batches)["1"]
    values = [model[:2](batch).movedim(1, 0).flatten(1) for batch in batches]
    torch.testing.assert_close(
        site.maximum("channel"), torch.cat(values, 1).amax(1).reshape(2, 1, 1)
    )
    assert site.maximum().shape == (1,)
    with pytest.raises(CalibrationError, match="samples had different sizes"):
        site.maximum("neuron")


def test_sequences_count_features_last():
    model = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 2))
    site = calibrate(model, [torch.randn(5, 7, 4)])["1"]
    assert site.maximum("channel").shape == (6,)
    assert site.maximum("neuron").shape == (7, 6)
    assert site.minimum().item() < 0
    assert site.maximum("channel", channel_dim=1).shape == (7, 1)


@pytest.mark.parametrize("batch", [3, "images", [], [None, torch.zeros(1)], (1, 2)])
def test_what_is_no_batch(model, batch):
    with pytest.raises(
        CalibrationError, match=r"give tensors, \(inputs, labels\) pairs or mappings"
    ):
        calibrate(model, [batch])
