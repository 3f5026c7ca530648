import math
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import clipact as ca
from clipact import faults
from clipact.errors import CalibrationError, FaultError, ThresholdError
from clipact.methods._search._trials import FaultyAccuracy

RATES = (1e-3, 4e-3, 2e-2)
FAST = {"rates": RATES, "trials": 3}


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    centers = 3 * torch.randn(4, 6, generator=generator)
    labels = torch.arange(360) % 4
    images = centers[labels] + torch.randn(360, 6, generator=generator)
    return [(images[:200], labels[:200])], [
        (images[200:300], labels[200:300]),
        (images[300:], labels[300:]),
    ]


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
    return model


def accuracy(model, batches):
    model.eval()
    with torch.no_grad():
        right = sum(int((model(x).argmax(1) == y).sum()) for x, y in batches)
    return right / sum(len(y) for _, y in batches)


def area(model, batches, method):
    found = []
    for rate in method.rates:
        for trial in range(method.trials):
            with faults.inject(
                model,
                faults.BitFlip(rate=rate),
                method.target,
                seed=method.seed,
                trial=trial,
                format=method.format,
            ):
                found.append(accuracy(model, batches))
    return sum(found) / len(found)


def searched_in_full(model, thresholds, batches, method):
    """The paper's search with every candidate measured, written once more."""
    for threshold in thresholds:
        low, high, seen = 0.0, threshold.item(), []
        for number in range(1, method.rounds + 1):
            points = [low + (high - low) * k / 3 for k in range(4)]
            areas = []
            for point in points:
                threshold.data.fill_(point)
                areas.append(area(model, batches, method))
            seen += zip(areas, points, strict=True)
            at = max(range(4), key=lambda k: (areas[k], points[k]))
            if (
                number >= method.least_rounds
                and max(abs(a - b) for a, b in pairwise(areas)) <= method.delta
            ):
                break
            low, high = points[max(at - 1, 0)], points[min(at + 1, 3)]
        threshold.data.fill_(max(seen)[1])


@pytest.mark.parametrize("delta", [0.2, 0.0, 1.0])
def test_what_is_left_out_changes_nothing(data, delta):
    method = ca.methods.FTClipAct(**FAST, delta=delta)
    model = trained(data)
    receipt = ca.protect(model, method, data[0], data[1], progress=False)
    found = [value.item() for value in ca.thresholds(model).values()]
    measured = sum(row["draws"] for row in receipt.history)
    receipt.restore()
    ca.protect(model, ca.methods.ClipToZero(), data[0], progress=False)
    searched_in_full(model, ca.thresholds(model).values(), data[1], method)
    assert found == pytest.approx(
        [value.item() for value in ca.thresholds(model).values()], rel=1e-6
    )
    assert measured < len(receipt.history) * 9


def test_more_accurate_under_these_faults_than_the_maximum(data):
    method = ca.methods.FTClipAct(**FAST)
    model = trained(data)
    with ca.protect(model, ca.methods.ClipToZero(), data[0], progress=False):
        maximum = area(model, data[1], method)
    receipt = ca.protect(model, method, data[0], data[1], progress=False)
    assert area(model, data[1], method) > maximum
    (best,) = [row["auc"] for row in receipt.history if row["chosen"] and row["site"] == "4"]
    assert best == pytest.approx(area(model, data[1], method))


def test_the_history_says_what_was_tried(data):
    model = trained(data)
    receipt = ca.protect(model, ca.methods.FTClipAct(**FAST), data[0], data[1], progress=False)
    for name, threshold in zip(("2", "4"), ca.thresholds(model).values(), strict=True):
        rows = [row for row in receipt.history if row["site"] == name]
        chosen = {row["threshold"] for row in rows if row["chosen"]}
        assert len(chosen) == 1
        assert chosen.pop() == pytest.approx(threshold.item())
        for number in {row["round"] for row in rows}:
            tried = [row for row in rows if row["round"] == number]
            assert len(tried) == 4
            assert sum(row["best"] for row in tried) == 1
            assert all((row["auc"] is None) == (row["draws"] < 9) for row in tried)


def test_weights_and_modes_stay_and_restore_undoes(data):
    model = trained(data).train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    receipt = ca.protect(model, ca.methods.FTClipAct(**FAST), data[0], data[1], progress=False)
    assert model.training
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())
    receipt.restore()
    assert list(model.state_dict()) == list(state)
    assert type(model[2]) is nn.ReLU


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_exception_leaves_the_model_of_before(data, error, monkeypatch):
    model = trained(data)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    measure, calls = FaultyAccuracy.correct, iter(range(100))

    def breaks(self, cell):
        if next(calls) == 15:
            raise error
        return measure(self, cell)

    monkeypatch.setattr(FaultyAccuracy, "correct", breaks)
    with pytest.raises(error):
        ca.protect(model, ca.methods.FTClipAct(**FAST), data[0], data[1], progress=False)
    assert type(model[2]) is nn.ReLU
    assert list(model.state_dict()) == list(state)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())


def test_both_bounds_of_an_activation_that_goes_below_zero(data):
    model = trained(data, nn.GELU)
    profile = ca.calibrate(model, data[0])
    ca.protect(
        model, ca.methods.FTClipAct(**FAST, granularity="channel"), data[0], data[1], progress=False
    )
    for name in ("2", "4"):
        scale = model[int(name)].high / profile[name].maximum("channel")
        assert scale.std() < 1e-6
        torch.testing.assert_close(
            model[int(name)].low.data, scale.data * profile[name].minimum("channel")
        )


def test_a_draw_without_faults_is_measured_once(data, monkeypatch):
    measure, seen = FaultyAccuracy.correct, []
    monkeypatch.setattr(
        FaultyAccuracy, "correct", lambda self, cell: seen.append(cell) or measure(self, cell)
    )
    method = ca.methods.FTClipAct(rates=(1e-12,), trials=4)
    receipt = ca.protect(trained(data), method, data[0], data[1], progress=False)
    assert len(seen) == 4 + len({(row["site"], row["threshold"]) for row in receipt.history}) - 2


def test_a_site_that_only_ever_saw_zero_is_left(data):
    model = trained(data)
    with torch.no_grad():
        model[3].weight.zero_()
        model[3].bias.fill_(-1.0)
    receipt = ca.protect(model, ca.methods.FTClipAct(**FAST), data[0], data[1], progress=False)
    assert {row["site"] for row in receipt.history} == {"2"}
    assert ca.thresholds(model)["4.threshold"].item() == 0.0


def test_the_numbers_of_the_paper():
    method = ca.methods.FTClipAct()
    assert method.rates == (1e-7, 1e-6, 3e-6, 1e-5, 3e-5)
    assert (method.trials, method.points, method.rounds, method.least_rounds, method.delta) == (
        5,
        4,
        4,
        3,
        0.2,
    )
    assert method.format == faults.FixedPoint(bits=32, fraction=16)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"rates": ()}, FaultError, "give bit error rates"),
        ({"rates": (0.0, 1e-3)}, FaultError, "above 0 and at most 1"),
        ({"rates": (1.5,)}, FaultError, "above 0 and at most 1"),
        ({"rates": (math.nan,)}, FaultError, "above 0 and at most 1"),
        ({"rates": (1e-3, 1e-3)}, FaultError, "each rate once"),
        ({"trials": 0}, FaultError, "number of draws"),
        ({"seed": -1}, FaultError, "integer from 0"),
        ({"points": 3}, ThresholdError, "4 points or more"),
        ({"rounds": 0}, ThresholdError, "from 1"),
        ({"least_rounds": 5}, ThresholdError, "from 1 to rounds=4"),
        ({"delta": math.nan}, ThresholdError, "difference of areas"),
        ({"samples": 0}, ThresholdError, "from 1, or None"),
    ],
)
def test_numbers_that_give_no_search(wrong, error, words):
    with pytest.raises(error, match=words):
        ca.methods.FTClipAct(**wrong)


@pytest.mark.parametrize(
    ("validate", "words"),
    [
        (None, "got none; call protect"),
        ([], "empty validation set"),
        ([torch.randn(8, 6)], "without labels"),
        ([(torch.randn(8, 6), torch.rand(8))], "integers of the classes"),
        ([(torch.randn(8, 6), torch.full((8,), 7))], "classes 0 to 3"),
        ([(torch.randn(8, 6), torch.zeros(5, dtype=torch.long))], "for 5 labels"),
    ],
)
def test_held_out_data_that_cannot_be_used(data, validate, words):
    model = trained(data)
    with pytest.raises(CalibrationError, match=words):
        ca.protect(model, ca.methods.FTClipAct(**FAST), data[0], validate, progress=False)
    assert type(model[2]) is nn.ReLU


class Named(nn.Module):
    """As of Hugging Face: keyword arguments in, logits in a structure out."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, pixels):
        return SimpleNamespace(logits=self.inner(pixels))


def test_training_data_is_not_held_out(data):
    with pytest.raises(CalibrationError, match="hold some of it back"):
        ca.protect(trained(data), ca.methods.FTClipAct(**FAST), data[0], data[0], progress=False)


def test_only_the_first_samples_are_measured_on(data):
    images, labels = (torch.cat(parts)[:130] for parts in zip(*data[1], strict=True))
    whole, part = trained(data), trained(data)
    ca.protect(whole, ca.methods.FTClipAct(**FAST), data[0], [(images, labels)], progress=False)
    ca.protect(part, ca.methods.FTClipAct(**FAST, samples=130), data[0], data[1], progress=False)
    assert list(ca.thresholds(whole).values()) == list(ca.thresholds(part).values())


def test_batches_that_name_their_labels(data):
    plain, named = trained(data), Named(trained(data))
    ca.protect(plain, ca.methods.FTClipAct(**FAST), data[0], data[1], progress=False)
    train = [{"pixels": x} for x, _ in data[0]]
    validate = [{"pixels": x, "labels": y} for x, y in data[1]]
    with pytest.raises(CalibrationError, match="without labels"):
        ca.protect(named, ca.methods.FTClipAct(**FAST), train, train[:1], progress=False)
    receipt = ca.protect(named, ca.methods.FTClipAct(**FAST), train, validate, progress=False)
    assert {row["site"] for row in receipt.history} == {"inner.2", "inner.4"}
    assert max(row["auc"] or 0.0 for row in receipt.history) > 0.5
