import pytest
import torch
from torch import nn

from clipact.errors import SurgeryError
from clipact.nn import HyReLU, OutputGuard, SaturatedReLU
from clipact.surgery import Journal, Receipt, guard_output, harden_, replace_activations
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


def guarded(model):
    return guard_output(model, OutputGuard(-1.0, 1.0))


def smooth(model):
    return replace(model, make=HyReLU)


@pytest.mark.parametrize("build", ["Functional", "Shared", "Stored"])
@pytest.mark.parametrize(
    "changes",
    [
        (replace, replace),
        (smooth, harden_),
        (smooth, harden_, guarded),
        (smooth, harden_, replace),
        (replace, guarded, smooth),
        (guarded, replace, replace),
    ],
)
def test_changes_on_the_same_sites_are_restored_together(build, changes, models, snapshot):
    model = getattr(models, build)()
    before = snapshot(model)
    first, *rest = (change(model) for change in changes)
    for later in rest:
        first = first.then(later)
    first.restore()
    before.assert_same()
    with pytest.raises(SurgeryError, match="called before"):
        first.restore()
    before.assert_same()


def test_together_they_are_restored_after_an_exception(models, snapshot):
    model = models.Functional()
    before = snapshot(model)
    with pytest.raises(KeyboardInterrupt), smooth(model).then(harden_(model)).then(replace(model)):
        raise KeyboardInterrupt
    before.assert_same()


def test_what_lies_on_top_of_both_or_between_them_has_to_go_first(models, snapshot):
    model = models.Functional()
    before = snapshot(model)
    first, between, later = smooth(model), harden_(model), replace(model)
    top = replace(model)
    state = snapshot(model)
    for pair in (first.then(later), between.then(later), first.then(between)):
        with pytest.raises(SurgeryError, match="a later change lies on top of"):
            pair.restore()
        state.assert_same()
    top.restore()
    with pytest.raises(SurgeryError, match="a later change lies on top of"):
        first.then(later).restore()  # the one between them is not in it
    first.then(between).then(later).restore()
    before.assert_same()


def test_a_receipt_that_is_already_restored_leaves_the_other_alone(models, snapshot):
    model = models.Shared()
    before = snapshot(model)
    first, later = smooth(model), harden_(model)
    both = first.then(later)
    later.restore()
    state = snapshot(model)
    with pytest.raises(SurgeryError, match="called before"):
        both.restore()
    state.assert_same()
    first.restore()
    before.assert_same()


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_a_failure_half_way_leaves_everything_changed(error, models, snapshot):
    model = nn.Sequential(models.Functional(), models.Stored(), nn.ReLU())
    before, journal, fails = snapshot(model), Journal(), [True]

    def undo():
        if fails:
            raise error

    journal.on_undo(undo)
    journal.set_attribute("2", model[2], "inplace", value=True)
    receipt = Receipt([], journal).then(guarded(model[0]))
    receipt = receipt.then(replace(model, named("[12]*"), HyReLU)).then(harden_(model))
    model.eval()  # what is taken out follows when it comes back
    state = snapshot(model)
    with pytest.raises(error):
        receipt.restore()
    state.assert_same()
    fails.clear()
    receipt.restore()
    model.train()
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
