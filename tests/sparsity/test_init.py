"""Networks start at the edge of chaos, or are refused by name and left as they were."""

import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

import clipact as ca
from clipact import sparsity
from clipact.errors import SparsityError, StabilityWarning


def edge(kind=ca.nn.CReLU, s=0.85, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StabilityWarning)
        return sparsity.edge_of_chaos(kind, s, **options)


def images(*shape, seed=0):
    """Each of mean square 1."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return x / x.flatten(1).square().mean(1).sqrt().reshape(-1, *[1] * (x.dim() - 1))


def mlp(point, depth=3, width=300, inputs=300):
    net = nn.Sequential()
    for layer in range(depth):
        net.append(nn.Linear(width if layer else inputs, width)).append(point.activation())
    return net


def parameters(net):
    return {name: p.detach().clone() for name, p in net.named_parameters()}


def same(before, net):
    return all(torch.equal(before[name], p) for name, p in net.named_parameters())


class TestDraws:
    def test_deep_layers_get_the_variances_of_the_point_and_the_first_that_of_its_input(self):
        point = edge()
        net = mlp(point, inputs=400).append(nn.Linear(300, 300))
        done = sparsity.init_(net, point, example=3 * images(64, 400), exact=False)
        assert [layer.scale for layer in done.layers] == ["measured", "point", "point", "point"]
        first, *rest = done.layers
        assert first.mean_square == pytest.approx(9.0)
        assert first.sigma_w**2 == pytest.approx((1 - point.sigma_b**2) / 9)
        for layer, module in zip(
            done.layers, [m for m in net if isinstance(m, nn.Linear)], strict=True
        ):
            found = (module.weight.square().mean() * module.in_features).sqrt().item()
            assert found == pytest.approx(layer.sigma_w, rel=0.02)
            assert module.bias.std().item() == pytest.approx(point.sigma_b, rel=0.15)
        assert all(layer.sigma_w == point.sigma_w for layer in rest)

    def test_the_seed_decides_and_a_generator_goes_on(self):
        point, x = edge(), images(8, 300)
        nets = [mlp(point) for _ in range(4)]
        generator = torch.Generator().manual_seed(5)
        for net, seed in zip(nets, (5, 5, generator, generator), strict=True):
            sparsity.init_(net, point, example=x, seed=seed)
        assert same(parameters(nets[0]), nets[1])
        assert not same(parameters(nets[0]), nets[2])
        assert not same(parameters(nets[2]), nets[3])
        sparsity.init_(nets[0], point, example=x, seed=torch.Generator().manual_seed(5))
        assert same(parameters(nets[0]), nets[2])

    def test_an_example_drawn_with_the_same_seed_does_not_equal_the_weights(self):
        point = edge()
        net = nn.Sequential(nn.Linear(300, 300), point.activation())
        sparsity.init_(net, point, example=images(300, 300, seed=7), seed=7)
        overlap = (net[0].weight * images(300, 300, seed=7)).mean() / net[0].weight.std()
        assert abs(overlap) < 0.02

    def test_parameters_stay_the_same_objects_and_flags_and_modes_stay(self):
        point, net = edge(), mlp(edge())
        net[0].weight.requires_grad_(False)
        net[2].eval()
        before = [(id(p), p.requires_grad) for p in net.parameters()]
        modes = [module.training for module in net.modules()]
        hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]
        sparsity.init_(net, point, example=images(8, 300))
        assert [(id(p), p.requires_grad) for p in net.parameters()] == before
        assert [module.training for module in net.modules()] == modes
        assert [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()] == hooks

    def test_exact_gives_q_star_on_the_example(self):
        point = edge(q_star=4.0)
        net, x = mlp(point, depth=20), images(64, 300)
        done = sparsity.init_(net, point, example=x)
        found = sparsity.check_(net, x, point=point)
        assert found.q_deviation < 1e-4
        assert all(0.5 < layer.factor < 2 for layer in done.layers)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
    def test_dtypes(self, dtype):
        point = edge()
        net = mlp(point).to(dtype)
        sparsity.init_(net, point, example=images(64, 300).to(dtype))
        assert net[0].weight.dtype is dtype
        assert sparsity.check_(net, images(64, 300).to(dtype), point=point).q_deviation < 0.02

    def test_what_reads_a_pooled_signal_is_scaled_by_what_it_reads(self):
        point = edge()
        net = nn.Sequential(
            nn.Conv2d(3, 64, 3), point.activation(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 300), point.activation()
        )  # fmt: skip
        done = sparsity.init_(net, point, example=images(16, 3, 12, 12), exact=False)
        assert [layer.scale for layer in done.layers] == ["measured", "measured"]
        assert done.layers[1].mean_square < 0.9 * done.layers[0].mean_square

    def test_a_point_of_any_activation(self):
        point = sparsity.edge_of_chaos_of(nn.Tanh(), q_star=0.5)
        net = nn.Sequential(nn.Linear(300, 300), nn.Tanh(), nn.Linear(300, 300), nn.Tanh())
        sparsity.init_(net, point, example=images(64, 300))
        assert sparsity.check_(net, images(64, 300), point=point).q_deviation < 1e-4


class TestDistributions:
    def test_orthogonal_has_orthogonal_rows_in_every_group(self):
        point = edge()
        net = nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), point.activation())
        sparsity.init_(
            net, point, example=images(8, 4, 8, 8), weights=sparsity.Orthogonal(), exact=False
        )
        for block in net[0].weight.flatten(1).chunk(2):
            gram = block @ block.T
            assert torch.allclose(gram, gram[0, 0] * torch.eye(4), atol=1e-5)

    def test_more_outputs_than_inputs_keep_the_mean_square(self):
        weights = sparsity.Orthogonal().draw((300, 100), 1, 2.0, torch.Generator().manual_seed(0))
        x = torch.randn(16, 100)
        assert torch.allclose((x @ weights.T).square().mean(1), 4 * x.square().mean(1), rtol=1e-4)

    def test_delta_orthogonal_is_zero_but_at_the_centre(self):
        point = edge()
        net = nn.Sequential(nn.Conv3d(2, 4, (3, 1, 5)), point.activation())
        sparsity.init_(
            net, point, example=images(4, 2, 6, 6, 6), weights=sparsity.DeltaOrthogonal()
        )
        at = net[0].weight.detach().abs().sum((0, 1)) > 0
        assert at.sum() == 1
        assert bool(at[1, 0, 2])


class TestDepth:
    def test_hundred_layers_keep_variance_and_sparsity_on_inputs_never_seen(self):
        """Width 300, s = .85, 5 seeds: q within 25 % of q* in every layer of every network; the mean sparsity within .02."""
        point, shares = edge(), []
        for seed in range(5):
            net = mlp(point, depth=100)
            sparsity.init_(net, point, example=images(32, 300, seed=seed), seed=seed)
            found = sparsity.check_(net, images(32, 300, seed=100 + seed), point=point)
            assert found.q_deviation < 0.25
            shares.append(torch.tensor([row.sparsity for row in found]))
        assert (torch.stack(shares).mean(0) - 0.85).abs().max() < 0.02
        assert abs(torch.stack(shares).mean() - 0.85) < 0.003

    def test_without_the_correction_the_mean_over_seeds_keeps_variance(self):
        point, variances = edge(slope=0.5), []
        for seed in range(5):
            net = mlp(point, depth=50)
            sparsity.init_(net, point, example=images(32, 300, seed=seed), seed=seed, exact=False)
            found = sparsity.check_(net, images(32, 300, seed=100 + seed), point=point)
            variances.append(torch.tensor([row.q for row in found]))
        assert (torch.stack(variances).mean(0) - 1).abs().max() < 0.25

    def test_without_the_clip_variance_explodes_and_meter_and_check_show_it(self):
        point = edge(ca.nn.ShiftedReLU)
        net, x = mlp(point, depth=200), images(32, 300)
        with pytest.warns(StabilityWarning, match="variance is"):
            sparsity.init_(net, point, example=x, exact=False)
        found = sparsity.check_(net, x, point=point)
        limit = torch.finfo(torch.float32).max
        assert next(row.q for row in found if row.q > limit) > limit
        assert found.rows[-1].not_finite > 0
        assert found.q_deviation == math.inf
        assert "NaN or infinite" in str(found)
        with torch.no_grad(), sparsity.SparsityMeter(net) as meter:
            net(x)
        assert meter.table()["399"].not_finite > 0
        assert meter.table()["299"].sparsity < 0.75

    @pytest.mark.parametrize("weights", [sparsity.Gaussian(), sparsity.DeltaOrthogonal()])
    def test_fifty_convolutions_keep_variance(self, weights):
        point, net = edge(), nn.Sequential()
        for layer in range(50):
            net.append(nn.Conv2d(64 if layer else 3, 64, 3, padding=1)).append(point.activation())
        sparsity.init_(net, point, example=images(4, 3, 8, 8), weights=weights)
        found = sparsity.check_(net, images(4, 3, 8, 8, seed=1), point=point)
        assert found.q_deviation < 0.25
        assert sum(row.sparsity for row in found) / 50 == pytest.approx(0.85, abs=0.03)


class Residual(nn.Module):
    def __init__(self, point):
        super().__init__()
        self.stem, self.branch, self.act, self.after = (
            nn.Linear(8, 8),
            nn.Linear(8, 8),
            point.activation(),
            point.activation(),
        )

    def forward(self, x):
        x = self.act(self.stem(x))
        return self.after(x + self.branch(x))


class Attention(nn.Module):
    def __init__(self, point):
        super().__init__()
        self.query, self.out, self.act = nn.Linear(8, 8), nn.Linear(8, 8), point.activation()

    def forward(self, x):
        q = self.act(self.query(x))
        return self.act(self.out(F.scaled_dot_product_attention(q, x, x)))


def tied(point):
    net = nn.Sequential(nn.Linear(8, 8), point.activation(), nn.Linear(8, 8))
    net[2].weight = net[0].weight
    return net


def unused(point):
    net = nn.Sequential(nn.Linear(8, 8), point.activation())
    net[1].extra = nn.Linear(2, 2)
    return net


REFUSED = {
    "no such activation": (lambda _: nn.Sequential(nn.Linear(8, 8), nn.ReLU()), "no such activation ran"),
    "another activation": (lambda p: nn.Sequential(nn.Linear(8, 8), p.activation(), nn.Linear(8, 8), nn.ReLU()), "'3' is ReLU"),
    "other thresholds": (lambda _: nn.Sequential(nn.Linear(8, 8), ca.nn.CReLU(1.0, 1.0)), "'1' has tau"),
    "a residual stream": (Residual, "'after' reads a mixture of 'act' and 'branch'"),
    "attention": (Attention, "mixture of"),
    "a kind of layer it does not know": (lambda p: nn.Sequential(nn.LSTM(8, 8), nn.Identity()).append(p.activation()), None),
    "an embedding": (lambda p: nn.Sequential(nn.Linear(8, 8), p.activation(), nn.Bilinear(8, 8, 2)), None),
    "a tied weight": (tied, "'0' and '2' share a weight"),
    "a parametrised weight": (lambda p: nn.Sequential(parametrizations.weight_norm(nn.Linear(8, 8)), p.activation()), "'0' is parametrised"),
    "no bias": (lambda p: nn.Sequential(nn.Linear(8, 8, bias=False), p.activation()), "'0' has no bias"),
    "an activation of the input": (lambda p: nn.Sequential(p.activation(), nn.Linear(8, 8)), "'0' reads 'the input'"),
    "a layer that does not run": (unused, "'1.extra' .* does not run"),
}  # fmt: skip


class TestRefusals:
    @pytest.mark.parametrize("name", [name for name, (_, text) in REFUSED.items() if text])
    def test_by_name_and_nothing_changes(self, name):
        point = edge()
        build, text = REFUSED[name]
        net = build(point)
        before = parameters(net)
        with pytest.raises(SparsityError, match=text):
            sparsity.init_(net, point, example=images(4, 8))
        assert same(before, net)

    def test_matrices_of_other_modules(self):
        class Other(nn.Module):
            def __init__(self):
                super().__init__()
                self.mix = nn.Parameter(torch.eye(8))

            def forward(self, x):
                return x @ self.mix

        point = edge()
        net = nn.Sequential(nn.Linear(8, 8), point.activation(), Other())
        with pytest.raises(SparsityError, match=r"'2\.mix' belongs to a Other"):
            sparsity.init_(net, point, example=images(4, 8))

    def test_all_problems_at_once(self):
        point = edge()
        net = nn.Sequential(
            nn.Linear(8, 8, bias=False), ca.nn.CReLU(1.0, 1.0), nn.Linear(8, 8), nn.ReLU()
        )
        with pytest.raises(SparsityError, match=r"'1' has tau.*'3' is ReLU.*'0' has no bias"):
            sparsity.init_(net, point, example=images(4, 8))

    @pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
    def test_an_example_that_says_nothing(self, value):
        point = edge()
        net = mlp(point)
        before = parameters(net)
        with pytest.raises(SparsityError, match="mean square"):
            sparsity.init_(net, point, example=torch.full((4, 300), value))
        assert same(before, net)

    def test_an_error_halfway_takes_everything_back(self):
        class Late(nn.Module):
            def __init__(self):
                super().__init__()
                self.runs = 0

            def forward(self, x):
                self.runs += 1
                if self.runs == 2:
                    raise RuntimeError("late")
                return x

        point = edge()
        net = mlp(point).append(Late())
        before = parameters(net)
        with pytest.raises(RuntimeError, match="late"):
            sparsity.init_(net, point, example=images(4, 300))
        assert same(before, net)

    def test_normalisation_warns_and_the_weights_are_set(self):
        point = edge()
        net = nn.Sequential(
            nn.Conv2d(3, 64, 3, bias=False),
            nn.BatchNorm2d(64),
            point.activation(),
            nn.Conv2d(64, 64, 3, bias=False),
        )
        buffers = {name: b.clone() for name, b in net.named_buffers()}
        with pytest.warns(StabilityWarning, match=r"'1' \(BatchNorm2d\)"):
            sparsity.init_(net, point, example=images(4, 3, 8, 8))
        assert net[3].weight.std().item() == pytest.approx(point.sigma_w / math.sqrt(576), rel=0.02)
        assert all(torch.equal(buffers[name], b) for name, b in net.named_buffers())

    def test_something_between_that_changes_the_variance_warns(self):
        point = edge()
        net = nn.Sequential(
            nn.Linear(300, 300),
            point.activation(),
            nn.Linear(300, 300),
            nn.AvgPool1d(2),
            point.activation(),
        )
        sparsity.init_(net, point, example=images(64, 300))
        assert sparsity.check_(net, images(64, 300), point=point).q_deviation > 0.3


class Named(nn.Module):
    """Passes its inputs by name."""

    def __init__(self, point):
        super().__init__()
        self.layer, self.act = nn.Linear(300, 300), point.activation()

    def forward(self, x):
        return self.act(x=self.layer(input=x))


def test_inputs_passed_by_name():
    point = edge()
    net = Named(point)
    sparsity.init_(net, point, example=images(64, 300))
    (row,) = sparsity.check_(net, images(64, 300)).rows
    assert row.q == pytest.approx(1.0, rel=1e-4)


def test_under_autocast_each_layer_runs_with_its_new_weights():
    point = edge()
    net = mlp(point)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        sparsity.init_(net, point, example=images(64, 300))
    for row in sparsity.check_(net, images(64, 300)):
        assert row.q == pytest.approx(1.0, rel=0.02)


def test_under_autocast_the_network_goes_on_with_its_new_weights():
    net, x = mlp(edge()), images(64, 300)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        sparsity.init_(net, edge(), example=x)
        inside = net(x)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(net(x), inside)
