import math

import pytest
import torch
from torch import nn

import clipact as ca
from clipact.errors import CalibrationError, ThresholdError
from clipact.methods._search._accuracy import Accuracy
from clipact.methods._search._tails import TAILS


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    centers = 3 * torch.randn(4, 6, generator=generator)
    labels = torch.arange(2400) % 4
    images = centers[labels] + torch.randn(2400, 6, generator=generator)
    return [(images[:1600], labels[:1600])], [(images[1600:], labels[1600:])]


def trained(data, activation=nn.ReLU):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 16), activation(), nn.Linear(16, 16), activation(), nn.Linear(16, 4)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    ((images, labels),) = data[0]
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    optimizer.zero_grad()
    return model


def accuracy(model, data):
    ((images, labels),) = data[1]
    with torch.no_grad():
        return (model(images).argmax(1) == labels).float().mean().item()


@pytest.mark.parametrize("by_site", [False, True])
@pytest.mark.parametrize("granularity", ["layer", "channel"])
@pytest.mark.parametrize("budget", [0.0, 0.01, 0.05])
def test_within_the_budget_and_not_one_step_tighter(data, granularity, budget, by_site):
    model = trained(data)
    before = accuracy(model, data)
    method = ca.methods.BudgetedPercentile(budget, granularity, by_site=by_site, output_guard=False)
    receipt = ca.protect(model, method, data[0], data[1], progress=False)
    assert before - accuracy(model, data) <= budget + 1e-6
    together = [row for row in receipt.history if row["site"] is None]
    accepted = min(row["percentile"] for row in together if row["accepted"])
    refused = [row["percentile"] for row in together if not row["accepted"]]
    assert max(refused) < accepted < 100.0
    steps = [100.0 - tail for tail in TAILS]
    assert steps.index(max(refused)) == steps.index(accepted) + 1
    profile = ca.calibrate(trained(data), data[0], quantiles=granularity)
    found = dict(zip(profile, ca.thresholds(model).values(), strict=True))
    for name, threshold in found.items():
        common = profile[name].quantile(accepted / 100.0, granularity)
        assert bool((threshold <= common).all()) if by_site else torch.equal(threshold, common)


def test_by_site_is_tighter_where_that_is_free(data):
    common, own = trained(data), trained(data)
    ca.protect(
        common, ca.methods.BudgetedPercentile(0.03, "layer"), data[0], data[1], progress=False
    )
    method = ca.methods.BudgetedPercentile(0.03, "layer", by_site=True)
    receipt = ca.protect(own, method, data[0], data[1], progress=False)
    pairs = list(zip(ca.thresholds(own).values(), ca.thresholds(common).values(), strict=True))
    assert any(bool(mine < theirs) for mine, theirs in pairs)
    assert next(row["site"] for row in receipt.history if row["site"]) == "3"


def test_a_larger_budget_gives_smaller_thresholds(data):
    found = []
    for budget in (0.0, 0.02, 0.2):
        model = trained(data)
        ca.protect(
            model, ca.methods.BudgetedPercentile(budget, "layer"), data[0], data[1], progress=False
        )
        found.append(
            sum(value.item() for name, value in ca.thresholds(model).items() if "guard" not in name)
        )
    assert found == sorted(found, reverse=True)
    assert found[0] > found[2]


def test_nothing_is_measured_twice(data, monkeypatch):
    count, calls = Accuracy.correct, []
    monkeypatch.setattr(Accuracy, "correct", lambda self: calls.append(1) or count(self))
    method = ca.methods.BudgetedPercentile(0.02, by_site=True)
    receipt = ca.protect(trained(data), method, data[0], data[1], progress=False)
    assert len(calls) <= len(receipt.history) + 1 <= 2 + 3 * 7


@pytest.mark.parametrize(("zero", "expected"), [(True, 0.0), (False, None)])
def test_past_the_threshold(data, zero, expected):
    model = trained(data)
    method = ca.methods.BudgetedPercentile(0.02, "layer", zero=zero)
    ca.protect(model, method, data[0], data[1], progress=False)
    threshold = model[1].threshold.item()
    assert model[1](torch.tensor([[1e6]])).item() == (threshold if expected is None else expected)
    assert model[1](torch.tensor([[math.nan]])).item() == 0.0
    assert isinstance(model.output_guard, ca.nn.OutputGuard)


def test_two_sided(data):
    model = trained(data, nn.GELU)
    receipt = ca.protect(
        model, ca.methods.BudgetedPercentile(0.02, "layer"), data[0], data[1], progress=False
    )
    accepted = min(row["percentile"] for row in receipt.history if row["accepted"])
    profile = ca.calibrate(trained(data, nn.GELU), data[0])
    assert torch.equal(model[1].low, profile["1"].quantile(1.0 - accepted / 100.0))
    assert torch.equal(model[1].high, profile["1"].quantile(accepted / 100.0))


def test_a_budget_finer_than_a_sample_says_the_smallest_possible(data):
    model = trained(data)
    with pytest.raises(CalibrationError, match=r"at least 0.00125 or for 0, or hold 2000 samples"):
        ca.protect(model, ca.methods.BudgetedPercentile(0.0005), data[0], data[1], progress=False)
    assert type(model[1]) is nn.ReLU


def test_maxima_that_lose_too_much_already(data):
    model = trained(data)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CalibrationError, match="calibrate with more data, or raise the budget"):
        ca.protect(
            model, ca.methods.BudgetedPercentile(0.01), 0.1 * data[0][0][0], data[1], progress=False
        )
    assert type(model[1]) is nn.ReLU
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_exception_leaves_the_model_of_before(data, error, monkeypatch):
    model = trained(data)
    keys = list(model.state_dict())
    count, calls = Accuracy.correct, iter(range(100))

    def breaks(self):
        if next(calls) == 4:
            raise error
        return count(self)

    monkeypatch.setattr(Accuracy, "correct", breaks)
    with pytest.raises(error):
        ca.protect(model, ca.methods.BudgetedPercentile(), data[0], data[1], progress=False)
    assert type(model[1]) is nn.ReLU
    assert list(model.state_dict()) == keys


@pytest.mark.parametrize("validate", [None, [], [torch.randn(8, 6)]])
def test_held_out_data_that_cannot_be_used(data, validate):
    with pytest.raises(CalibrationError, match="BudgetedPercentile"):
        ca.protect(
            trained(data), ca.methods.BudgetedPercentile(), data[0], validate, progress=False
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"budget": -0.1},
        {"budget": 1.0},
        {"budget": math.nan},
        {"granularity": "neuron"},
        {"guard_margin": 0.0},
    ],
)
def test_numbers_that_mean_nothing(wrong):
    with pytest.raises(ThresholdError):
        ca.methods.BudgetedPercentile(**wrong)


@pytest.mark.parametrize(
    "spoil",
    [lambda x, y: (x * torch.nan, y), lambda x, _: (x, x.new_zeros(len(x), dtype=torch.long))],
)
def test_held_out_data_of_which_nothing_is_right(data, spoil):
    model = trained(data)
    with torch.no_grad():
        model[-1].bias[0] -= 1e6
    shown = str(model)
    with pytest.raises(CalibrationError, match=r"none of the 800 held-out samples correctly"):
        ca.protect(
            model, ca.methods.BudgetedPercentile(), data[0], [spoil(*data[1][0])], progress=False
        )
    assert str(model) == shown


def test_logits_in_a_mapping_or_first_in_a_tuple(data):
    class Returns(nn.Module):
        def __init__(self, wrap):
            super().__init__()
            self.inner, self.wrap = trained(data), wrap

        def forward(self, x):
            return self.wrap(self.inner(x))

    method = ca.methods.BudgetedPercentile(0.01, "layer", output_guard=False)
    for wrap in (lambda y: {"logits": y}, lambda y: (y, None)):
        receipt = ca.protect(Returns(wrap), method, data[0], data[1], progress=False)
        assert receipt.history[-1]["accuracy"] > 0.5


def test_a_number_of_samples_that_is_none():
    with pytest.raises(ThresholdError, match="samples=0 asked for"):
        ca.methods.FTClipAct(samples=0)
