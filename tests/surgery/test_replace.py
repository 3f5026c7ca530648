import pytest
import torch
from torch import nn

from clipact import where
from clipact.errors import SelectionError, SurgeryError, ThresholdError
from clipact.nn import RangeRestricted, SaturatedReLU
from clipact.surgery import ACTIVATIONS, find_sites, replace_activations, thresholds

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
INF = float("inf")
ONE = SaturatedReLU(1.0)
CASES = [
    "Functional",
    "Shared",
    "Overwriting",
    "Modal",
    "Optional",
    "Factories",
    "Noisy",
    "Dependent",
    "Asking",
    "Stored",
    "Nested",
]


def unlimited(site):
    return RangeRestricted(site.activation, -INF, INF)


def run(model, x=X):
    torch.manual_seed(1)
    with torch.no_grad():
        output = model.eval()(x)
    return output["out"] if isinstance(output, dict) else output


@pytest.mark.parametrize("case", CASES)
def test_infinite_range_changes_no_bit_and_restore_nothing_at_all(case, models, snapshot):
    torch.manual_seed(0)
    model = getattr(models, case)()
    keys, golden = list(model.state_dict()), run(model)
    model.train()
    before, sites = snapshot(model), find_sites(model, X)
    receipt = replace_activations(model, unlimited, example=X)
    assert [site for site, _ in receipt.changes] == list(sites)
    assert [site.name for site in find_sites(model, X)] == [site.name for site in sites]
    assert set(keys) - {"acts.0.weight"} <= set(model.state_dict())
    assert torch.equal(run(model).view(torch.int32), golden.view(torch.int32))
    model.train()
    receipt.restore()
    before.assert_same()


def test_each_call_gets_its_own_module(models):
    model = models.Shared()
    limits = iter((3.0, 2.0, 1.0))
    receipt = replace_activations(model, lambda _: SaturatedReLU(next(limits)), example=X)
    assert [new.threshold.item() for _, new in receipt.changes] == [3.0, 2.0, 1.0]
    assert [model.relu, model.relu_2, model.relu_3] == [new for _, new in receipt.changes]
    assert type(model) is models.Shared
    assert model(X * 100).detach().max() == 1.0


def test_only_the_chosen_calls_change(models):
    model, golden = models.Shared(), models.Shared()
    golden.load_state_dict(model.state_dict())
    replace_activations(model, lambda _: nn.Identity(), example=X, where=where.named("relu_2"))
    hidden = golden.relu(golden.linear(X))
    assert torch.equal(model(X), golden.relu(golden.linear(hidden) + X))


def test_replaced_models_are_replaced_again(models):
    model = models.Functional()
    first = replace_activations(
        model, lambda _: SaturatedReLU(5.0), example=X, where=where.named("relu_2")
    )
    golden = run(model)
    second = replace_activations(model, unlimited, example=X)
    assert len(second.changes) == 7
    assert torch.equal(run(model), golden)
    second.restore()
    assert torch.equal(run(model), golden)
    assert isinstance(model.relu_2, SaturatedReLU)
    first.restore()
    assert "forward" not in model.__dict__


def test_modules_are_asked_for_first_and_all_problems_are_named(models, snapshot):
    model = nn.Sequential(models.Shared(), nn.Linear(6, 4), nn.ReLU())
    before = snapshot(model)
    with pytest.raises(ThresholdError) as caught:
        replace_activations(model, lambda _: SaturatedReLU(torch.ones(5)), example=X)
    assert "0.relu_2" in str(caught.value)
    assert "(5,) does not fit site '2', whose output has shape (3, 4)" in str(caught.value)
    with pytest.raises(ThresholdError, match="without enlarging"):
        replace_activations(
            model, lambda _: SaturatedReLU(torch.ones(2, 3, 6)), example=X, where=where.named("0*")
        )
    before.assert_same()


@pytest.mark.parametrize(
    ("recipe", "error", "message"),
    [
        (lambda _: 6.0, SurgeryError, "gave a float for site 'relu'"),
        (
            lambda _: ONE,
            SurgeryError,
            "same SaturatedReLU for sites 'relu' and 'relu_2'",
        ),
        (lambda _: 1 / 0, ZeroDivisionError, "division"),
    ],
)
def test_unusable_recipes_change_nothing(recipe, error, message, models, snapshot):
    model = models.Shared()
    before = snapshot(model)
    with pytest.raises(error, match=message):
        replace_activations(model, recipe, example=X)
    before.assert_same()


def test_one_stateless_module_serves_all_calls(models):
    model, one = models.Shared(), nn.Hardtanh()
    replace_activations(model, lambda _: one, example=X)
    assert model.relu is one
    assert "forward" not in model.__dict__


def test_nothing_to_replace(models):
    with pytest.raises(SelectionError, match=r"no site of these kinds.*GRU"):
        replace_activations(nn.GRU(6, 6), unlimited, example=X)
    with pytest.raises(SelectionError, match="layer4"):
        replace_activations(models.Shared(), unlimited, example=X, where=where.named("layer4*"))


def test_the_model_itself_is_no_container(snapshot):
    model = nn.ReLU()
    before = snapshot(model)
    with pytest.raises(SurgeryError, match=r"nn\.Sequential"):
        replace_activations(model, unlimited, example=X)
    before.assert_same()


def test_gradients_reach_thresholds_and_weights(models):
    model = nn.Sequential(models.Shared(), models.Functional())
    replace_activations(model, lambda _: SaturatedReLU(0.1), example=X)
    for threshold in thresholds(model).values():
        threshold.requires_grad_(True)
    model(X * 10).sum().backward()
    assert all(parameter.grad is not None for parameter in thresholds(model).values())
    assert model[0].linear.weight.grad is not None


def test_custom_kinds():
    class Learned(nn.Module):
        def __init__(self):
            super().__init__()
            self.beta = nn.Parameter(torch.ones(1))

        def forward(self, x):
            return x * torch.sigmoid(self.beta * x)

    model = nn.Sequential(nn.Linear(6, 6), Learned())
    receipt = replace_activations(model, unlimited, example=X, kinds=(*ACTIVATIONS, Learned))
    assert isinstance(model[1], RangeRestricted)
    receipt.restore()
    assert isinstance(model[1], Learned)
