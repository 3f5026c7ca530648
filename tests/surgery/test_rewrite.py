"""What tracing a container must not get wrong."""

import functools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from clipact.errors import SurgeryError
from clipact.nn import SaturatedReLU
from clipact.surgery import replace_activations
from clipact.where import named

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
INF = float("inf")


def replace(model, x=X, threshold=INF):
    return replace_activations(model, lambda _: SaturatedReLU(threshold), example=x)


def twins(models, case):
    torch.manual_seed(0)
    model, golden = getattr(models, case)(), getattr(models, case)()
    golden.load_state_dict(model.state_dict())
    return model, golden


@pytest.mark.parametrize("training", [True, False])
def test_training_mode_is_asked_at_call_time(training, models):
    model, golden = twins(models, "Modal")
    replace(model.train())
    model.train(training)
    golden.train(training)
    torch.manual_seed(1)
    output = model(X)
    torch.manual_seed(1)
    assert torch.equal(output, golden(X))


@pytest.mark.parametrize("training", [True, False])
def test_a_container_that_was_rewritten_is_rewritten_again_in_both_modes(training):
    class Both(nn.Module):
        def forward(self, x):
            x = F.relu(x)
            return F.gelu(x * 2) if self.training else F.gelu(x * 3)

    model = Both().train(training)
    replace_activations(model, lambda _: SaturatedReLU(INF), example=X, where=named("relu"))
    replace_activations(model, lambda _: SaturatedReLU(INF), example=X, where=named("gelu"))
    for mode, factor in ((True, 2), (False, 3)):
        assert torch.equal(model.train(mode)(X), X.relu() * factor)


def test_refuses_other_activations_in_training_mode(snapshot):
    class Auxiliary(nn.Module):
        def forward(self, x):
            x = F.relu(x)
            return F.relu(x - 1) if self.training else x

    model = Auxiliary().train()
    before = snapshot(model)
    with pytest.raises(
        SurgeryError, match="in training mode tracing sees 2 activation calls, the example made 1"
    ):
        replace(model)
    before.assert_same()


def test_data_dependent_container_shares_one_module_where_that_is_the_same(models):
    model, golden = twins(models, "Dependent")
    receipt = replace(model, threshold=0.25)
    assert [new for _, new in receipt.changes] == [model.relu, model.relu]
    assert model(X).detach().max() <= 0.25
    receipt.restore()
    assert torch.equal(model(X), golden(X))


def test_data_dependent_container_is_refused_by_name_otherwise(models, snapshot):
    model = nn.Sequential(models.Dependent(), models.DependentFunctional())
    before = snapshot(model)
    limits = iter(range(1, 9))
    with pytest.raises(SurgeryError, match=r"0 .Dependent.: TraceError.*control flow"):
        replace_activations(
            model, lambda _: SaturatedReLU(next(limits)), example=X, where=named("0*")
        )
    with pytest.raises(SurgeryError, match=r"1 .DependentFunctional."):
        replace(model)
    before.assert_same()


def test_containers_that_vary_between_runs_are_refused(models):
    class Alternating(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 6)

        def forward(self, x, twice: bool):
            x = F.relu(self.linear(x))
            return F.relu(x - 1) if twice else x

    class Runs(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = Alternating()

        def forward(self, x):
            return self.block(self.block(x, twice=True), twice=False)

    with pytest.raises(SurgeryError, match=r"block .Alternating.: it"):
        replace(Runs())


def test_activations_called_behind_the_models_back_are_noticed(models, snapshot):
    model = models.Listed()
    before = snapshot(model)
    with pytest.raises(
        SurgeryError, match="calls at relu do not go through the modules registered there"
    ):
        replace(model)
    before.assert_same()


def test_overwritten_views_are_refused(snapshot):
    class Views(nn.Module):
        def forward(self, x):
            y = x + 0
            view = y[1:]
            F.relu_(y)
            return view

    model = Views()
    before = snapshot(model)
    with pytest.raises(SurgeryError, match="its output for the example is another one"):
        replace(model)
    before.assert_same()


def test_instance_level_forward_is_refused(models):
    model = models.Functional()
    model.forward = functools.partial(models.Functional.forward, model)
    with pytest.raises(SurgeryError, match="replaced on the instance"):
        replace(model)


def test_modules_of_a_list_get_names_in_the_caller(models):
    model = models.Nested()
    receipt = replace(model)
    assert [site.name for site, _ in receipt.changes] == [
        "acts.0",
        "acts_0_2",
        "acts_0_3",
        "acts.1",
    ]
    assert isinstance(model.acts_0_3, SaturatedReLU)
