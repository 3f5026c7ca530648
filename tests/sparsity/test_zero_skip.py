import copy
import io
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune

import clipact as ca
from clipact import faults
from clipact.errors import SelectionError, SurgeryError
from clipact.nn import CST, CReLU, ShiftedReLU, SoftThreshold
from clipact.sparsity import zero_skip_
from clipact.sparsity._skipping._forward import ZeroSkipForward
from clipact.surgery import Journal, Receipt


class Always:
    """Skips whenever it is asked, and writes down that it was."""

    def __init__(self):
        self.asked = []

    def __call__(self, rows, weight):
        self.asked.append((rows, tuple(weight.shape)))
        return rows * weight.shape[1]


def never(rows, weight):
    return 0


def mlp(activation=None, width=12):
    activation = CReLU(0.5, 1.2) if activation is None else activation
    return nn.Sequential(
        nn.Linear(8, width), activation, nn.Linear(width, 9), nn.ReLU(), nn.Linear(9, 3)
    )


def skipping(model, example=None, **options):
    options = {"min_weights": 0, "break_even": Always()} | options
    return zero_skip_(model, example, **options)


def names(receipt):
    return [site.name for site, _ in receipt.changes]


def state(model):
    """Values, layout and identity of every tensor, and the attributes of every module."""
    tensors = {
        key: (id(tensor), tensor.dtype, tensor.stride(), tensor.detach().clone())
        for key, tensor in model.state_dict(keep_vars=True).items()
    }
    return tensors, {path: set(module.__dict__) for path, module in model.named_modules()}


def assert_same(now, before):
    assert now[1] == before[1]
    assert now[0].keys() == before[0].keys()
    for key, (identity, dtype, stride, values) in before[0].items():
        assert now[0][key][:3] == (identity, dtype, stride), key
        assert torch.equal(now[0][key][3], values), key


# ------------------------------------------------------------------ which layers


@pytest.mark.parametrize(
    "activation",
    [
        CReLU(0.5, 1.0),
        CST(0.5, 1.0),
        ShiftedReLU(0.5),
        SoftThreshold(0.5),
        nn.ReLU(),
        nn.ReLU6(),
        nn.Softshrink(),
        nn.Hardshrink(),
        nn.Threshold(0.1, 0.0),
        ca.nn.SaturatedReLU(1.0),
        ca.nn.ZeroedReLU(1.0),
        ca.nn.HyReLU(1.0),
        ca.nn.RelativeHyReLU(1.0),
        ca.nn.KWinners(0.5),
        ca.nn.StatisticalThreshold(0.5),
        ca.nn.HoyerSpike(),
    ],
    ids=lambda activation: type(activation).__name__,
)
@pytest.mark.parametrize("with_example", [True, False])
def test_layers_behind_every_sparsifier_are_found(activation, with_example):
    model = nn.Sequential(nn.Linear(8, 12), activation, nn.Linear(12, 3))
    assert names(skipping(model, torch.randn(2, 8) if with_example else None)) == ["2"]


def test_layers_behind_other_activations_are_not():
    for activation in (nn.GELU(), nn.Sigmoid(), nn.Tanh(), nn.LayerNorm(12)):
        model = nn.Sequential(nn.Linear(8, 12), activation, nn.Linear(12, 3))
        for example in (None, torch.randn(2, 8)):
            with pytest.raises(SelectionError, match="no linear layer with a sparsifier before it"):
                skipping(model, example)


@pytest.mark.parametrize("with_example", [True, False])
def test_they_are_found_through_dropout_flattening_and_nested_sequences(with_example):
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.Sequential(nn.ReLU(), nn.Identity()),
        nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 5), nn.GELU()),
        nn.Linear(5, 3),
    )
    assert names(skipping(model, torch.randn(2, 1, 4, 4) if with_example else None)) == ["2.2"]


class Own(nn.Module):
    """A forward of its own: functional activations, reshaping, a residual sum, a layer called twice."""

    def __init__(self):
        super().__init__()
        self.first, self.twice, self.last = nn.Linear(8, 12), nn.Linear(12, 12), nn.Linear(12, 3)
        self.dense = nn.Linear(12, 12)

    def forward(self, x):
        h = F.relu(self.first(x)).view(-1, 12)
        h = self.twice(h) + self.dense(h.sigmoid())
        h = self.twice(torch.relu(h))
        return self.last(F.dropout(h.relu(), 0.5, self.training))


def test_forwards_of_their_own_are_seen_by_running_the_example():
    model = Own()
    with pytest.raises(SelectionError, match="pass an example"):
        skipping(model)
    assert names(skipping(model, torch.randn(2, 8))) == ["twice", "last"]


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(16, 3)

    def forward(self, x):
        return self.head(F.max_pool2d(F.relu(self.convolution(x) - 9.0), 2).flatten(1))


def test_inputs_that_are_mostly_zero_are_found_whatever_made_them():
    assert names(skipping(Pooled(), torch.randn(2, 1, 4, 4))) == ["head"]


def test_the_receipt_says_what_was_changed():
    model = mlp()
    receipt = skipping(model, torch.randn(2, 8))
    (site, layer), _ = receipt.changes
    assert (site.name, site.kind, site.shape) == ("2", nn.Linear, (2, 9))
    assert layer is model[2]


def test_where_narrows_the_choice():
    assert names(skipping(mlp(), where=ca.where.named("4"))) == ["4"]
    with pytest.raises(SelectionError, match="matches none"):
        skipping(mlp(), where=ca.where.named("0"))


def test_small_layers_are_left_alone_by_default():
    model = mlp()
    before = state(model)
    receipt = zero_skip_(model)
    assert receipt.changes == []
    assert_same(state(model), before)
    receipt.restore()
    assert names(zero_skip_(model, min_weights=108)) == ["2"]


@pytest.mark.parametrize("example", [None, torch.ones(2, 8)], ids=["structure", "example"])
def test_a_second_time_says_what_is_there_already(example):
    model = mlp()
    first = skipping(model, where=ca.where.named("2"))
    second = skipping(model, example)
    assert names(second) == ["4"]
    before = state(model)
    with pytest.raises(SelectionError, match=r"2, 4 do so already; .*restore\(\) its receipt"):
        skipping(model, example)
    assert_same(state(model), before)
    second.restore()
    with pytest.raises(
        SelectionError, match=r"there is '4'. By an earlier zero_skip_\(\), 2 do so"
    ):
        skipping(model, example, where=ca.where.named("2"))
    first.restore()
    assert names(skipping(model, example)) == ["2", "4"]


def test_a_restore_that_fails_half_way_leaves_it_skipping():
    model, journal = mlp(), Journal()
    before = state(model)
    journal.on_undo(lambda: 1 / 0)
    receipt = skipping(model)
    now = state(model)
    with pytest.raises(ZeroDivisionError):
        Receipt([], journal).then(receipt).restore()
    assert_same(state(model), now)
    assert all(isinstance(model[i].forward, ZeroSkipForward) for i in (2, 4))
    receipt.restore()
    assert_same(state(model), before)


def test_subclasses_with_a_forward_of_their_own_are_left_alone():
    class Scaled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    class Plain(nn.Linear):
        pass

    model = nn.Sequential(nn.ReLU(), Scaled(4, 4), nn.ReLU(), Plain(4, 4))
    assert names(skipping(model)) == ["3"]


def test_computed_and_shared_weights_are_left_alone_and_named():
    spectral = parametrizations.spectral_norm(nn.Linear(4, 4))
    pruned = prune.random_unstructured(nn.Linear(4, 4), "weight", 0.5)
    model = nn.Sequential(nn.ReLU(), spectral, nn.ReLU(), pruned)
    with pytest.raises(SelectionError, match=r"1 cannot: its weight is computed.*3 cannot"):
        skipping(model)
    tied = nn.Sequential(nn.Embedding(5, 4), nn.ReLU(), nn.Linear(4, 5))
    tied[2].weight = tied[0].weight
    with pytest.raises(SelectionError, match=r"its weight is also that of 0 \(Embedding\)"):
        skipping(tied)
    whole = torch.randn(2, 4, 4)
    parts = nn.Sequential(nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    for layer, part in zip((parts[1], parts[3]), whole, strict=True):
        layer.weight = nn.Parameter(part)
    with pytest.raises(SelectionError, match=r"part of the memory of 3\.weight"):
        skipping(parts)
    with pytest.raises(SelectionError, match="meta device"):
        skipping(mlp().to("meta"))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_precisions_in_which_the_layout_is_slow_are_left_alone_by_default(dtype):
    model = mlp().to(dtype)
    assert skipping(model).changes == []
    assert model[2].weight.is_contiguous()
    assert names(skipping(model, dtypes=(dtype,))) == ["2", "4"]


def test_two_layers_may_share_a_parameter():
    model = nn.Sequential(
        nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)
    )
    model[3].weight = model[5].weight = model[1].weight
    before, x = state(model), torch.randn(3, 4)
    y = model(x)
    receipt = skipping(model)
    assert names(receipt) == ["1", "3"]
    torch.testing.assert_close(model(x), y)
    receipt.restore()
    assert_same(state(model), before)


def test_unfit_models_are_refused():
    with pytest.raises(SurgeryError, match="script module"):
        skipping(torch.jit.trace(mlp(nn.ReLU()), torch.randn(1, 8)))


# ------------------------------------------------------------------ what it computes


@pytest.mark.parametrize("shape", [(8,), (1, 8), (5, 8), (2, 3, 8), (0, 8)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_outputs_are_those_of_the_dense_model(shape, dtype):
    model, x = mlp(), torch.randn(shape).to(dtype)
    y = copy.deepcopy(model).to(dtype)(x)
    asked = Always()
    skipping(model, break_even=asked)
    model.to(dtype)
    tolerance = {"rtol": 0.02, "atol": 0.02} if dtype is torch.bfloat16 else {}
    torch.testing.assert_close(model(x), y, **tolerance)
    rows = x.numel() // 8
    assert asked.asked == ([(rows, (9, 12)), (rows, (3, 9))] if rows else [])
    with torch.inference_mode():
        torch.testing.assert_close(model(x), y, **tolerance)


def test_gradients_are_those_of_the_dense_model():
    model, x = mlp(), torch.randn(4, 8).double().requires_grad_()
    model.double()(x).square().sum().backward()
    dense = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    of_input, x.grad = x.grad, None
    model.zero_grad()
    skipping(model.float(), break_even=(asked := Always()))
    model.double()(x).square().sum().backward()
    assert len(asked.asked) == 2
    torch.testing.assert_close(x.grad, of_input, rtol=0, atol=1e-13)
    assert len(dense) == 6
    for name, gradient in dense.items():
        torch.testing.assert_close(
            model.get_parameter(name).grad, gradient, rtol=0, atol=1e-13, msg=name
        )


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_training_goes_on_with_the_same_parameters(optimizer):
    torch.manual_seed(0)
    one = mlp()
    two = copy.deepcopy(one)
    optimizers = [optimizer(model.parameters(), lr=1e-2) for model in (one, two)]
    x, target = torch.randn(6, 8), torch.randn(6, 3)
    for step in range(6):
        if step == 2:  # with gradients and moments of before
            receipt = skipping(two)
        if step == 4:
            receipt.restore()
        for model, steps in zip((one, two), optimizers, strict=True):
            steps.zero_grad(set_to_none=step % 2 == 0)
            F.mse_loss(model(x), target).backward()
            steps.step()
    for mine, other in zip(two.parameters(), one.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=2e-5)
        assert mine.stride() == other.stride()


def test_the_number_of_nonzeros_decides():
    model = nn.Sequential(nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        model[1].weight.fill_(1.0)[0, 0] = float("nan")  # seen by the dense form only
    skipping(model, break_even=lambda rows, weight: 3)
    few, many = (
        torch.tensor([[0.0, 1, 1, 1], [0, 0, 0, 0]]),
        torch.tensor([[0.0, 1, 1, 1], [0, 1, 0, 0]]),
    )
    assert model(few).isfinite().all()
    assert model(many).isnan().any()


def test_zero_nonzeros_allowed_is_the_dense_layer_bit_for_bit():
    model, x = mlp(), torch.randn(5, 8)
    skipping(model, break_even=never)
    by_hand = x
    for layer in model:
        is_linear = isinstance(layer, nn.Linear)
        by_hand = F.linear(by_hand, layer.weight, layer.bias) if is_linear else layer(by_hand)
    assert torch.equal(model(x), by_hand)


def test_hooks_and_a_shared_layer():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(self.layer(x.relu()).sigmoid())

    model, seen = Twice(), []
    model.layer.register_forward_hook(lambda module, args, output: seen.append(output.shape))
    y, asked = model(torch.ones(2, 4)), Always()
    skipping(model, torch.randn(2, 4), break_even=asked)
    torch.testing.assert_close(model(torch.ones(2, 4)), y)
    assert len(asked.asked) == 2
    assert seen == [(2, 4)] * 6  # before, by the example, now


# ------------------------------------------------------------------ when it stays dense


def assert_dense(model, run):
    asked = Always()
    receipt = skipping(model, break_even=asked)
    found = run(model)
    assert asked.asked == []
    receipt.restore()
    return found


def test_autocast_is_dense():
    def run(model):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return model(torch.randn(2, 8))

    assert assert_dense(mlp(nn.ReLU()), run).dtype == torch.bfloat16


def test_torch_func_is_dense():
    x = torch.randn(3, 8)
    model = mlp(nn.ReLU())
    y = model(x)
    torch.testing.assert_close(assert_dense(model, lambda model: torch.func.vmap(model)(x)), y)
    value, tangent = assert_dense(model, lambda m: torch.func.jvp(m, (x,), (torch.ones_like(x),)))
    torch.testing.assert_close(value, y)
    assert tangent.abs().sum() > 0
    assert assert_dense(model, lambda m: torch.func.jacrev(m)(x)).shape == (3, 3, 3, 8)


def test_forward_mode_is_dense():
    def run(model):
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(torch.randn(2, 8), torch.ones(2, 8))
            return torch.autograd.forward_ad.unpack_dual(model(dual)).tangent

    assert assert_dense(mlp(nn.ReLU()), run) is not None


def test_functional_call_uses_what_it_is_given():
    model, x = mlp(), torch.randn(2, 8)
    skipping(model)
    others = {name: 2 * value.detach() for name, value in model.named_parameters()}
    y = torch.func.functional_call(model, others, x)
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(others[name])
    torch.testing.assert_close(model(x), y)


def test_a_weight_that_was_laid_out_anew_is_dense():
    model, x, asked = mlp(), torch.randn(2, 8), Always()
    y = model(x)
    skipping(model, break_even=asked)
    model[2].weight.data = model[2].weight.data.contiguous()
    torch.testing.assert_close(model(x), y)
    assert asked.asked == [(2, (3, 9))]


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_a_sparse_input_is_dense_work():
    model, x = nn.Sequential(nn.ReLU(), nn.Linear(4, 2)), torch.eye(4)
    asked = Always()
    receipt = skipping(model, break_even=asked)
    torch.testing.assert_close(model[1](x.to_sparse_csr()), model[1](x))
    assert len(asked.asked) == 1
    receipt.restore()


def test_other_dtypes_and_shapes_give_torchs_own_errors():
    model = mlp()
    skipping(model)
    with pytest.raises(RuntimeError, match="dtype"):
        model[2](torch.randn(2, 12).double())
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        model[2](torch.randn(2, 11))


@pytest.mark.slow
def test_compiling_and_exporting_are_dense():
    model, x, asked = mlp(nn.ReLU()), torch.randn(2, 8), Always()
    y = model(x)
    skipping(model, break_even=asked)
    torch.testing.assert_close(torch.compile(model, fullgraph=True, backend="eager")(x), y)
    program = torch.export.export(model, (x,))
    torch.testing.assert_close(program.module()(x), y)
    torch.testing.assert_close(torch.jit.trace(model, x, check_trace=False)(x), y)
    assert "embedding_bag" not in str(program.graph)
    assert asked.asked == []


def test_a_symbolic_trace_goes_on_skipping():
    model, x, asked = mlp(nn.ReLU()), torch.randn(2, 8), Always()
    y = model(x)
    skipping(model, break_even=asked)
    torch.testing.assert_close(torch.fx.symbolic_trace(model)(x), y)
    assert len(asked.asked) == 2


# ------------------------------------------------------------------ what stays as it was


def test_restore_gives_the_model_back_bit_for_bit():
    model = mlp()
    before = state(model)
    receipt = skipping(model, torch.randn(2, 8))
    model(torch.randn(3, 8))
    assert model[2].weight.t().is_contiguous()
    receipt.restore()
    assert_same(state(model), before)
    with pytest.raises(SurgeryError, match="restore"):
        receipt.restore()


def test_also_a_weight_that_was_not_contiguous():
    model = mlp()
    model[2].weight.data = torch.randn(9, 24)[:, ::2]
    before = state(model)
    with skipping(model):
        assert model[2].weight.t().is_contiguous()
    assert_same(state(model), before)


def test_an_exception_in_the_middle_leaves_the_model_as_it_was(monkeypatch):
    from clipact.sparsity._skipping import _zero_skip

    model, calls = mlp(), []
    before = state(model)
    original = _zero_skip.lay_out

    def fail_second(weight):
        calls.append(weight)
        if len(calls) == 2:
            raise MemoryError
        return original(weight)

    monkeypatch.setattr(_zero_skip, "lay_out", fail_second)
    with pytest.raises(MemoryError):
        skipping(model)
    assert_same(state(model), before)


def test_the_example_leaves_no_trace():
    model = nn.Sequential(
        nn.Linear(8, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, 3)
    )
    before, rng = state(model), torch.get_rng_state()
    skipping(model, torch.randn(2, 8, generator=torch.Generator())).restore()
    assert_same(state(model), before)
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(module.training for module in model.modules())


def test_the_state_dict_has_the_same_keys_and_values_and_loads_both_ways():
    model, x = mlp(), torch.randn(2, 8)
    plain = copy.deepcopy(model)
    keys = list(model.state_dict())
    skipping(model)
    assert list(model.state_dict()) == keys
    for key, value in plain.state_dict().items():
        assert torch.equal(model.state_dict()[key], value)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = mlp()
    other.load_state_dict(torch.load(file, weights_only=True))
    torch.testing.assert_close(other(x), plain(x), rtol=0, atol=0)
    assert other[2].weight.is_contiguous()
    model.load_state_dict(mlp().state_dict())
    assert model[2].weight.t().is_contiguous()
    model.load_state_dict(plain.state_dict())
    torch.testing.assert_close(model(x), plain(x))


def test_there_is_one_copy_of_the_weights():
    model = mlp()
    weight = model[2].weight
    skipping(model)
    assert model[2].weight is weight
    assert weight.untyped_storage().nbytes() == weight.numel() * weight.element_size()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_skips_with_its_own_weights(copied):
    model, x = mlp(), torch.randn(2, 8)
    skipping(model)
    other = copied(model)
    assert other[2].forward.layer is other[2]
    assert other[2].weight.t().is_contiguous()
    with torch.no_grad():
        other[2].weight.zero_()
        other[2].bias.zero_()
    assert other[2](torch.ones(1, 12)).abs().sum() == 0
    assert model(x).abs().sum() > 0


def test_a_replica_runs_on_itself():
    model = mlp()
    skipping(model)
    replica = model[2]._replicate_for_data_parallel()
    assert replica.forward.layer is replica


def test_a_change_of_dtype_keeps_it_skipping():
    model, asked = mlp(), Always()
    receipt = skipping(model, break_even=asked)
    model.double()
    model(torch.randn(2, 8).double())
    assert len(asked.asked) == 2
    receipt.restore()
    assert model[2].weight.is_contiguous()


# ------------------------------------------------------------------ with the rest of the library


def test_faults_act_and_are_taken_back():
    model, x = mlp(), torch.randn(2, 8).double()
    plain = copy.deepcopy(model).double()
    skipping(model)
    model.double()
    before, y = state(model), model(x)
    arguments = (faults.BitFlip(rate=0.02), faults.Weights())
    with (
        faults.inject(model, *arguments, seed=3) as mine,
        faults.inject(plain, *arguments, seed=3) as others,
    ):
        assert len(mine) > 10
        assert str(mine) == str(others)
        for one, two in zip(model.parameters(), plain.parameters(), strict=True):
            assert torch.equal(
                one.view(torch.int64) if one.is_contiguous() else one.t().view(torch.int64).t(),
                two.view(torch.int64),
            )
        assert not torch.equal(model(x), y)
    assert_same(state(model), before)
    assert torch.equal(model(x), y)


def test_meters_and_replacement_work_on_it():
    model, x = mlp(nn.ReLU()), torch.randn(2, 8)
    receipt = skipping(model)
    assert [site.name for site in ca.find_sites(model, x)] == ["1", "3"]
    later = ca.replace_activations(model, lambda site: CReLU(0.5, 1.0), example=x)
    model(x)
    later.restore()
    receipt.restore()
    assert "forward" not in model[2].__dict__


def test_a_model_changed_in_inference_mode_can_be_trained_before_and_after_restore():
    model = mlp()
    x = torch.randn(3, model[0].in_features)
    strides = [parameter.stride() for parameter in model.parameters()]
    with torch.inference_mode():
        receipt = zero_skip_(model, x, min_weights=0, break_even=never)
    assert receipt.changes
    model(x).sum().backward()
    with torch.inference_mode():
        receipt.restore()
    model.zero_grad()
    model(x).sum().backward()
    assert [parameter.stride() for parameter in model.parameters()] == strides
