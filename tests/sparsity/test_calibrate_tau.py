"""A trained model gets the sparsity that is asked for, by layer or in all."""

import pytest
import torch
from torch import nn

import clipact as ca
from clipact import sparsity
from clipact.errors import CalibrationError, SelectionError, SparsityError

KINDS = {
    "CReLU": lambda: ca.nn.CReLU(0.5, 1.0),
    "CST": lambda: ca.nn.CST(0.5, 1.0),
    "ShiftedReLU": lambda: ca.nn.ShiftedReLU(0.0),
    "SoftThreshold": lambda: ca.nn.SoftThreshold(0.0),
}


def deep(make, depth=6, width=128):
    torch.manual_seed(0)
    model = nn.Sequential()
    for _ in range(depth):
        model.append(nn.Linear(width, width)).append(make())
        nn.init.normal_(model[-2].weight, std=4 / width**0.5)
        nn.init.normal_(model[-2].bias, std=0.1)
    return model


def data(count=8, width=128):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(64, width, generator=generator) for _ in range(count)]


def shares(model, batches):
    with torch.no_grad(), sparsity.SparsityMeter(model) as meter:
        for batch in batches:
            model(batch)
    return meter.table()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("wanted", [0.6, 0.85, 0.97])
def test_every_layer_has_it(name, wanted):
    model, batches = deep(KINDS[name]), data()
    receipt = sparsity.calibrate_tau(model, batches, wanted)
    found = shares(model, batches)
    assert all(abs(row.sparsity - wanted) < 0.005 for row in found)
    assert [row.sparsity for row in receipt.rows] == [row.sparsity for row in found]
    assert receipt.passes <= 10


def test_every_channel_has_it():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 16, 3), ca.nn.ShiftedReLU(torch.zeros(16, 1, 1)))
    batches = [torch.randn(32, 3, 16, 16) for _ in range(4)]
    sparsity.calibrate_tau(model, batches, 0.9)
    zeros = torch.stack([(model(batch) == 0).float().mean((0, 2, 3)) for batch in batches]).mean(0)
    assert (zeros - 0.9).abs().max() < 0.005


def test_a_global_budget_is_one_multiple_of_every_scale():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(64, 64), ca.nn.ShiftedReLU(0.0), nn.Linear(64, 256), ca.nn.ShiftedReLU(0.0)
    )
    model[0].bias.data.fill_(0.7)
    batches = data(width=64)
    receipt = sparsity.calibrate_tau(model, batches, 0.85, budget="global")
    found = shares(model, batches)
    assert found.sparsity == pytest.approx(0.85, abs=0.002)
    assert receipt.sparsity == pytest.approx(found.sparsity)
    assert abs(found["1"].sparsity - found["3"].sparsity) > 0.01
    x = torch.cat(batches)
    first = model[0](x)
    second = model[2](model[1](first))
    ratios = [m.tau / h.square().mean().sqrt() for m, h in ((model[1], first), (model[3], second))]
    assert ratios[0].item() == pytest.approx(ratios[1].item(), rel=0.01)


def test_a_trained_relu_network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
    batches = data()
    before = model(batches[0])
    ca.replace_activations(model, lambda _: ca.nn.ShiftedReLU(0.0), example=batches[0])
    assert torch.equal(model(batches[0]), before)
    receipt = sparsity.calibrate_tau(model, [(x, None) for x in batches], 0.75)
    assert [row.sparsity_before for row in receipt.rows] == pytest.approx([0.5, 0.5], abs=0.1)
    assert "75.0 %" in str(receipt)
    assert receipt.to_pandas()["kind"].tolist() == ["ShiftedReLU", "ShiftedReLU"]
    receipt.restore()
    assert torch.equal(model(batches[0]), before)


def test_the_model_is_otherwise_left_as_it_was():
    model = nn.Sequential(
        nn.Linear(8, 8), nn.BatchNorm1d(8), ca.nn.ShiftedReLU(0.0), nn.Dropout()
    ).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sparsity.calibrate_tau(model, torch.randn(512, 8), 0.8)
    after = model.state_dict()
    assert [name for name in before if not torch.equal(before[name], after[name])] == ["2.tau"]
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())


class TestRefusals:
    def refused(self, model, batches, wanted, match, error=SparsityError, **options):
        before = {name: value.clone() for name, value in model.state_dict().items()}
        with pytest.raises(error, match=match):
            sparsity.calibrate_tau(model, batches, wanted, **options)
        assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())

    @pytest.mark.parametrize("value", [0.0, 1.0, float("nan")])
    def test_out_of_range(self, value):
        self.refused(deep(KINDS["CReLU"]), data(), value, "between 0 and 1")

    def test_a_tau_below_zero_would_be_needed(self):
        self.refused(deep(KINDS["ShiftedReLU"]), data(), 0.2, "a tau below 0")

    def test_many_equal_values(self):
        model = nn.Sequential(ca.nn.ShiftedReLU(0.0))
        x = torch.tensor([[1.0] * 5 + [2.0] * 5])
        self.refused(model, x, 0.3, "are equal")

    def test_data_that_can_be_read_once(self):
        self.refused(deep(KINDS["CReLU"]), iter(data()), 0.8, "once only")

    def test_no_data(self):
        self.refused(deep(KINDS["CReLU"]), [], 0.8, "empty", CalibrationError)

    def test_not_finite(self):
        self.refused(
            deep(KINDS["CReLU"]), torch.full((4, 128), float("inf")), 0.8, "NaN or infinite"
        )

    def test_an_activation_that_does_not_run(self):
        model = deep(KINDS["CReLU"])
        model[0].extra = ca.nn.CReLU(1.0, 1.0)
        self.refused(model, data(), 0.8, r"0\.extra did not run")
        sparsity.calibrate_tau(model, data(), 0.8, where=~ca.where.named("0.extra"))

    def test_no_activation(self):
        self.refused(
            nn.Sequential(nn.Linear(8, 8), nn.ReLU()),
            data(),
            0.8,
            "no activation with a tau",
            SelectionError,
        )

    def test_a_budget_that_does_not_exist(self):
        self.refused(deep(KINDS["CReLU"]), data(), 0.8, "budget 'each'", budget="each")


def test_one_tau_in_two_activations_is_refused():
    model = deep(KINDS["ShiftedReLU"], depth=3)
    model[3].tau = model[1].tau
    for budget in ("layer", "global"):
        with pytest.raises(SparsityError, match="1 and 3 have one and the same tau"):
            sparsity.calibrate_tau(model, data(2), 0.8, budget=budget)
    where = ca.where.named("1") | ca.where.named("5")
    assert len(sparsity.calibrate_tau(model, data(2), 0.8, where=where).rows) == 2


def test_one_activation_in_two_places_has_one_sparsity():
    model = deep(KINDS["ShiftedReLU"], depth=2)
    model[3] = model[1]
    (row,) = sparsity.calibrate_tau(model, data(2), 0.8).rows
    assert row.sparsity == pytest.approx(0.8, abs=0.005)
    assert row.values == 2 * 2 * 64 * 128


def test_an_input_passed_by_name():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = ca.nn.ShiftedReLU(0.0)

        def forward(self, x):
            return self.act(x=x)

    (row,) = sparsity.calibrate_tau(Named(), data(2), 0.8).rows
    assert row.sparsity == pytest.approx(0.8, abs=0.005)
