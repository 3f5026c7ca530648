import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from clipact.errors import SurgeryError
from clipact.nn import OutputGuard
from clipact.surgery import ACTIVATIONS, find_sites, guard_output, intercept, watch

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


def seen(model, *args, kinds=ACTIVATIONS, **options):
    found = []
    with intercept(model, kinds, lambda e, out: found.append((e.site, e.number)), **options):
        model(*args)
    return found


def test_the_model_goes_on_with_what_is_returned():
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    given = torch.full((3, 6), 2.0)
    with intercept(model, (nn.ReLU,), lambda *_: given):
        changed = model(X)
    assert torch.equal(changed, model[2](given))
    with intercept(model, (nn.ReLU,), lambda *_: None):
        assert torch.equal(model(X), model(X))


def test_functional_calls_are_changed_as_well(models):
    class Functions(nn.Module):
        def forward(self, x):
            return F.relu(x), torch.relu(x), x.relu(), F.gelu(x)

    model = Functions()
    with intercept(model, (nn.ReLU,), lambda e, out: out + 10):
        first, second, third, gelu = model(X)
    for output in (first, second, third):
        assert torch.equal(output, X.relu() + 10)
    assert torch.equal(gelu, F.gelu(X))


def test_names_are_those_of_find_sites(models):
    for model in (models.Functional(), models.Shared(), models.Stored(), models.Nested()):
        assert [name for name, _ in seen(model, X)] == [s.name for s in find_sites(model, X)]


def test_executions_are_counted_anew_in_each_forward(models):
    model = models.Twice(models.Shared())
    once = [("block.relu", 0), ("block.relu_2", 0), ("block.relu_3", 0)]
    twice = once + [(name, 1) for name, _ in once]
    found = []
    with intercept(model, ACTIVATIONS, lambda e, _: found.append((e.site, e.number))):
        model(X)
        assert found == twice
        model(X)
    assert found == twice * 2


def test_executions_are_counted_anew_after_an_exception(models):
    model = models.Twice(models.Shared())
    found = []

    def stop(execution, output):
        found.append((execution.site, execution.number))
        if len(found) == 4:
            raise RuntimeError("enough")

    with intercept(model, ACTIVATIONS, stop):
        with pytest.raises(RuntimeError, match="enough"):
            model(X)
        model(X)
    assert found[4:7] == [("block.relu", 0), ("block.relu_2", 0), ("block.relu_3", 0)]


def test_a_part_called_from_outside_is_a_forward_of_its_own(models):
    model = models.Twice(models.Shared())
    found, begun = [], []

    def begin(args, kwargs):
        begun.append(len(args))

    with intercept(model, ACTIVATIONS, lambda e, _: found.append(e.number), on_begin=begin):
        model.block(X)
        model.block(X)
    assert (found, begun) == ([0] * 6, [1, 1])


def test_a_part_that_raised_leaves_nothing_behind(models):
    model = models.Twice(models.Shared())

    def fail(*_):
        raise RuntimeError

    begun = []
    with intercept(model, ACTIVATIONS, lambda *_: None, on_begin=lambda *_: begun.append(1)):
        handle = model.block.linear.register_forward_hook(fail)
        with pytest.raises(RuntimeError):
            model.block(X)
        handle.remove()
        model(X)
    assert len(begun) == 2


def test_layers_are_looked_into_and_their_output_is_seen():
    class Custom(nn.Module):
        def forward(self, x):
            return F.relu(x) * 2

    model = nn.Sequential(nn.Linear(6, 6), Custom())
    assert seen(model, X) == [("1.relu", 0)]
    everything = [("0", 0), ("1.relu", 0), ("1", 0), ("", 0)]
    assert seen(model, X, layers=(nn.Module,)) == everything
    assert seen(model, X, kinds=(), layers=(Custom,)) == [("1", 0)]


def test_names_narrow_what_is_seen(models):
    model = models.Twice(models.Shared())
    options = {"layers": (nn.Module,)}
    assert seen(model, X, names={"block.linear"}, **options) == [
        ("block.linear", number) for number in range(4)
    ]
    assert seen(model, X, names={"block.relu_3", ""}, **options) == [
        ("block.relu_3", 0),
        ("block.relu_3", 1),
        ("", 0),
    ]
    assert seen(models.Functional(), X, names={"hardswish"}) == [("hardswish", 0)]


@pytest.mark.parametrize(
    ("layer", "given"),
    [
        (nn.GRU(6, 4), torch.randn(2, 3, 6)),
        (nn.LSTM(6, 4), pack_sequence([torch.randn(3, 6), torch.randn(2, 6)])),
    ],
)
def test_raw_outputs(layer, given):
    model = nn.Sequential(layer)
    outputs = []
    with intercept(model, (), lambda e, out: outputs.append(out), layers=(type(layer),)):
        returned = model(given)
    assert outputs[0] is returned


def test_a_layer_is_seen_before_its_guard():
    model = nn.Linear(6, 2)
    receipt = guard_output(model, OutputGuard(-1.0, 1.0))
    with intercept(model, (), lambda e, out: torch.full_like(out, 1e9), layers=(nn.Linear,)):
        assert bool((model(X) <= 1.0).all())
    receipt.restore()


def test_arguments_can_be_changed():
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
    doubled = model(X * 2)
    with intercept(model, (), lambda *_: None, on_begin=lambda a, k: ((a[0] * 2,), k)):
        assert torch.equal(model(X), doubled)


def test_calls_made_by_the_callback_are_not_the_models(models):
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU())
    found = []

    def again(execution, output):
        found.append(execution.site)
        return F.relu(model[1](output))

    with intercept(model, ACTIVATIONS, again, layers=(nn.Module,)):
        model(X)
    assert found == ["0", "1", ""]


def test_in_place_calls_say_so(models):
    marks = {}
    model = models.Functional()
    with intercept(model, ACTIVATIONS, lambda e, _: marks.update({e.site: e.in_place})):
        model(X)
    assert [name for name, in_place in marks.items() if in_place] == ["relu_3", "leaky_relu"]


def test_nothing_is_left_behind(models, snapshot):
    model = models.Twice(models.Functional())
    before = snapshot(model)
    fused = torch.backends.mha.get_fastpath_enabled()

    def interrupt(*_):
        raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        intercept(model, ACTIVATIONS, interrupt, layers=(nn.Module,)),
    ):
        model(X)
    before.assert_same()
    assert torch.backends.mha.get_fastpath_enabled() is fused
    with intercept(model, ACTIVATIONS, lambda *_: None, layers=(nn.Module,)):
        model(X)
    before.assert_same()


def test_watch_shows_the_first_tensor():
    model = nn.Sequential(nn.GRU(6, 4))
    shapes = []
    with watch(model, (nn.GRU,), lambda name, kind, output: shapes.append(tuple(output.shape))):
        model(torch.randn(2, 3, 6))
    assert shapes == [(2, 3, 4)]


def test_refuses_what_it_cannot_follow():
    with (
        pytest.raises(SurgeryError, match="compiled"),
        intercept(torch.compile(nn.ReLU(), backend="eager"), ACTIVATIONS, lambda *_: None),
    ):
        pass
