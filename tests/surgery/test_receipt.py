import pytest
import torch
from torch import nn

from clipact.errors import SurgeryError
from clipact.nn import HyReLU, OutputGuard, SaturatedReLU
from clipact.surgery import guard_output, harden_, replace_activations
from clipact.where import named

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


def replace(model, where=None, make=SaturatedReLU):
    return replace_activations(model, lambda _: make(1.0), example=X, where=where)


def test_restores_once(models, snapshot):
    model = models.Shared()
    before, receipt = snapshot(model), replace(model)
    receipt.restore()
    before.assert_same()
    with pytest.raises(SurgeryError, match="called before"):
        receipt.restore()
    before.assert_same()


def test_as_a_context_manager_it_restores_after_an_exception(models, snapshot):
    model = nn.Sequential(models.Functional(), models.Stored(), nn.ReLU())
    before = snapshot(model)
    receipt = replace(model)
    assert len(receipt.changes) == 9
    with pytest.raises(KeyboardInterrupt), receipt:
        raise KeyboardInterrupt
    before.assert_same()


@pytest.mark.parametrize("later", ["sites", "rewriting", "harden"])
def test_a_later_change_has_to_go_first(later, models, snapshot):
    model = models.Functional()
    before = snapshot(model)
    first = replace(model, named("relu_2"), HyReLU)
    if later == "sites":
        second = replace(model, named("relu_2"))
    elif later == "rewriting":
        second = replace(model, named("gelu"))
    else:
        second = harden_(model)
    state = snapshot(model)
    with pytest.raises(SurgeryError, match="a later change lies on top of"):
        first.restore()
    state.assert_same()
    second.restore()
    first.restore()
    before.assert_same()


def test_unrelated_changes_are_restored_in_any_order(models):
    model = nn.Sequential(models.Shared(), nn.ReLU())
    first, second = replace(model, named("0*")), replace(model, named("1"))
    first.restore()
    second.restore()
    assert isinstance(model[0].relu, nn.ReLU)
    assert isinstance(model[1], nn.ReLU)


def test_two_receipts_as_one(models, snapshot):
    model = models.Shared()
    before = snapshot(model)
    first = replace(model)
    first.history.append({"epoch": 0})
    both = first.then(guard_output(model, OutputGuard(-1.0, 1.0)))
    assert len(both.changes) == 4
    assert both.history == [{"epoch": 0}]
    both.restore()
    before.assert_same()


def test_only_the_change_is_undone(models):
    model = nn.Sequential(models.Shared(), nn.PReLU()).train()
    receipt = replace(model)
    with torch.no_grad():
        model[0].linear.weight.fill_(2.0)
    model.eval()
    model.extra = nn.Linear(1, 1)
    receipt.restore()
    assert list(model._modules) == ["0", "1", "extra"]
    assert float(model[0].linear.weight[0, 0].detach()) == 2.0
    assert not model[1].training
