import math

import pytest
import torch
from torch import nn

import clipact as ca
from clipact import faults
from clipact.errors import CalibrationError, FaultError, ThresholdError
from clipact.methods._search._trials import FaultyAccuracy

FAST = {"rates": (4e-3, 1e-2), "trials": 4}


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    centers = 3 * torch.randn(4, 6, generator=generator)
    labels = torch.arange(1600) % 4
    images = centers[labels] + torch.randn(1600, 6, generator=generator)
    return [(images[:1200], labels[:1200])], [(images[1200:], labels[1200:])]


def trained(data, activation=nn.ReLU):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 16),
        nn.BatchNorm1d(16),
        activation(),
        nn.Linear(16, 16),
        activation(),
        nn.Linear(16, 4),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-2)
    ((images, labels),) = data[0]
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    optimizer.zero_grad()
    return model.eval()


def accuracy(model, data):
    ((images, labels),) = data[1]
    with torch.no_grad():
        return (model(images).argmax(1) == labels).float().mean().item()


def under_faults(model, data, method, seed):
    found = []
    for rate in method.rates:
        for trial in range(method.trials):
            fault = faults.BitFlip(rate=rate)
            with faults.inject(
                model, fault, method.target, seed=seed, trial=trial, format=method.format
            ):
                found.append(accuracy(model, data))
    return sum(found) / len(found)


@pytest.mark.parametrize("granularity", ["channel", "neuron"])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU])
def test_more_accurate_under_these_faults_than_untuned(data, granularity, activation):
    method = ca.methods.FaultTuned(**FAST, budget=0.02, granularity=granularity, samples=None)
    model = trained(data, activation)
    before = accuracy(model, data)
    receipt = ca.protect(model, method, data[0], data[1], progress=False)
    found = under_faults(model, data, method, method.seed)
    start, best = receipt.history[0], [row for row in receipt.history if row["accepted"]][-1]
    assert (start["scale"], start["fill"]) == (1.0, "zero")
    assert found == pytest.approx(best["under_faults"])
    assert found > start["under_faults"]
    assert before - accuracy(model, data) <= 0.02 + 1e-6


def test_accepted_settings_only_get_better_and_keep_to_the_budget(data):
    model = trained(data)
    method = ca.methods.FaultTuned(**FAST, budget=0.01)
    history = ca.protect(model, method, data[0], data[1], progress=False).history
    accepted = [row["under_faults"] for row in history if row["accepted"]]
    assert accepted == sorted(set(accepted))
    least = accuracy(trained(data), data) - 0.01
    assert all(row["clean"] >= least - 1e-6 for row in history if row["accepted"])
    assert all(row["draws"] == 0 for row in history if row["clean"] < least - 1e-6)
    assert {row["site"] for row in history} == {None, "2", "4"}


def test_the_same_seed_gives_the_same_bits(data):
    first, second, other = trained(data), trained(data), trained(data)
    for model, seed in ((first, 0), (second, 0), (other, 5)):
        ca.protect(
            model, ca.methods.FaultTuned(**FAST, seed=seed), data[0], data[1], progress=False
        )
    values = [list(ca.thresholds(model).values()) for model in (first, second, other)]
    assert all(torch.equal(a, b) for a, b in zip(values[0], values[1], strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(values[0], values[2], strict=True))


def test_it_finds_the_rate_that_hurts(data):
    model = trained(data)
    clean = accuracy(model, data)
    method = ca.methods.FaultTuned(trials=6, lost=0.15, passes=0, samples=None)
    history = ca.protect(model, method, data[0], data[1], progress=False).history
    assert 0.3 < history[0]["under_faults"] < clean - 0.1
    assert {row["site"] for row in history} == {None}


def test_weights_stay_and_restore_undoes(data):
    model = trained(data).train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    receipt = ca.protect(model, ca.methods.FaultTuned(**FAST), data[0], data[1], progress=False)
    assert model.training
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())
    receipt.restore()
    assert list(model.state_dict()) == list(state)
    assert type(model[2]) is nn.ReLU


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_exception_leaves_the_model_of_before(data, error, monkeypatch):
    model = trained(data)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    measure, calls = FaultyAccuracy.correct, iter(range(1000))

    def breaks(self, cell):
        if next(calls) == 30:
            raise error
        return measure(self, cell)

    monkeypatch.setattr(FaultyAccuracy, "correct", breaks)
    with pytest.raises(error):
        ca.protect(model, ca.methods.FaultTuned(**FAST), data[0], data[1], progress=False)
    assert type(model[2]) is nn.ReLU
    assert list(model.state_dict()) == list(state)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())


def test_faults_that_do_no_harm(data):
    model = trained(data)
    with pytest.raises(FaultError, match="nothing to tune ranges by"):
        ca.protect(
            model,
            ca.methods.FaultTuned(target=faults.Biases(), lost=0.99, trials=1),
            data[0],
            data[1],
            progress=False,
        )
    assert type(model[2]) is nn.ReLU


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"rates": ()}, FaultError),
        ({"rates": (2.0,)}, FaultError),
        ({"trials": 0}, FaultError),
        ({"budget": -1.0}, ThresholdError),
        ({"lost": 0.0}, ThresholdError),
        ({"lost": math.nan}, ThresholdError),
        ({"passes": -1}, ThresholdError),
        ({"samples": 0}, ThresholdError),
        ({"guard_margin": -1.0}, ThresholdError),
    ],
)
def test_numbers_that_mean_nothing(wrong, error):
    with pytest.raises(error):
        ca.methods.FaultTuned(**wrong)


@pytest.mark.parametrize("validate", [None, [], [torch.randn(8, 6)]])
def test_held_out_data_that_cannot_be_used(data, validate):
    with pytest.raises(CalibrationError, match="FaultTuned"):
        ca.protect(trained(data), ca.methods.FaultTuned(**FAST), data[0], validate, progress=False)
