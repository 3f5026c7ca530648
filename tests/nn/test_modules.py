"""What the modules add to their functions: checked construction, hardening, and saying what is out of range."""

import pytest
import torch

from clipact import nn
from clipact.errors import ThresholdError
from clipact.nn._base import at_least_zero

INF, NAN = torch.inf, torch.nan
X = torch.tensor([-INF, -5.0, 0.0, 1.0, 2.0, INF, NAN])
CLIPPED = [nn.SaturatedReLU, nn.ZeroedReLU, nn.HyReLU]
SPARSE = [nn.ShiftedReLU, nn.SoftThreshold]
SPARSE_AND_CLIPPED = [nn.CReLU, nn.CST]
BAD = [-1.0, NAN, torch.tensor([1.0, -1.0]), torch.empty(0), torch.ones(3, dtype=torch.int64)]


@pytest.mark.parametrize("module", CLIPPED)
@pytest.mark.parametrize("bad", BAD)
def test_a_threshold_that_cannot_work_is_refused(module, bad):
    with pytest.raises(ThresholdError, match="threshold"):
        module(bad)


@pytest.mark.parametrize("bad", BAD)
def test_a_start_or_limit_that_cannot_work_is_refused_by_name(bad):
    for module in SPARSE:
        with pytest.raises(ThresholdError, match=r"^tau "):
            module(bad)
    for module in SPARSE_AND_CLIPPED:
        with pytest.raises(ThresholdError, match=r"^tau "):
            module(bad, 1.0)
        with pytest.raises(ThresholdError, match=r"^m "):
            module(1.0, bad)


@pytest.mark.parametrize("module", SPARSE_AND_CLIPPED)
def test_start_and_limit_need_a_common_input(module):
    with pytest.raises(ThresholdError, match=r"tau of shape \(2,\) and m of shape \(3,\)"):
        module(torch.zeros(2), torch.ones(3))
    mixed = module(torch.zeros(3, 1, 1), torch.ones(3, 4, 5))
    assert mixed(torch.full((2, 3, 4, 5), 9.0)).eq(1).all()


@pytest.mark.parametrize("module", CLIPPED)
def test_a_layer_threshold_has_one_dimension(module):
    assert module(6.0).threshold.shape == module(torch.tensor(6.0)).threshold.shape == (1,)


@pytest.mark.parametrize("module", CLIPPED)
def test_past_the_threshold_or_nan_is_out_of_range(module):
    assert module(1.0).out_of_range(X).tolist() == [False, False, False, False, True, True, True]


def test_what_a_sparse_activation_clips_or_nan_is_out_of_range():
    for module in SPARSE:
        assert module(1.0).out_of_range(X).tolist() == [*[False] * 6, True]
    above, below = [False, False, False, False, True, True, True], [True, True, *[False] * 5]
    assert nn.CReLU(0.5, 1.0).out_of_range(X).tolist() == above
    both = [a or b for a, b in zip(above, below, strict=True)]
    assert nn.CST(0.5, 1.0).out_of_range(X).tolist() == both


def test_a_range_says_so_of_the_activation_it_holds():
    guarded = nn.RangeRestricted(torch.nn.ReLU(), -1.0, 1.0)
    assert guarded.out_of_range(X).tolist() == [False, False, False, False, True, True, True]
    assert nn.OutputGuard(-1.0, 1.0).out_of_range(X).tolist() == [
        True,
        True,
        False,
        False,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize(
    "module", [lambda a, b: nn.RangeRestricted(torch.nn.Identity(), a, b), nn.OutputGuard]
)
def test_bounds_must_be_in_order_everywhere(module):
    with pytest.raises(ThresholdError, match="low above high"):
        module(torch.tensor([0.0, 3.0]), torch.tensor([1.0, 2.0]))
    with pytest.raises(ThresholdError, match=r"\(2,\).*\(3,\)"):
        module(torch.zeros(2), torch.ones(3))
    assert module(1.0, 1.0)(X.nan_to_num()).eq(1).all()


@pytest.mark.parametrize("slope", [0.0, -1.0, INF, NAN])
def test_a_slope_that_cannot_fall_is_refused_when_built(slope):
    with pytest.raises(ThresholdError, match="slope"):
        nn.HyReLU(1.0, slope=slope)


def test_hardening_keeps_thresholds_position_and_mode():
    smooth = nn.HyReLU(torch.tensor([1.0, 2.0]).reshape(2, 1, 1)).eval()
    smooth.position = 3
    hard = smooth.harden()
    assert isinstance(hard, nn.ZeroedReLU)
    assert torch.equal(hard.threshold, smooth.threshold)
    assert (hard.position, hard.training, hard.threshold.requires_grad) == (3, False, False)
    hard.threshold.fill_(0.0)
    assert smooth.threshold.min() == 1


def test_hardening_what_is_hard_gives_itself():
    for module in (
        nn.SaturatedReLU(1.0),
        nn.ZeroedReLU(1.0),
        nn.OutputGuard(0.0, 1.0),
        nn.CST(1.0, 2.0),
    ):
        assert module.harden() is module


def test_a_module_says_its_thresholds():
    assert repr(nn.SaturatedReLU(6.0)) == "SaturatedReLU(threshold=6)"
    assert repr(nn.HyReLU(torch.ones(3, 1, 1))) == "HyReLU(threshold=(3, 1, 1), slope=20)"
    assert repr(nn.ShiftedReLU(0.5)) == "ShiftedReLU(tau=0.5)"
    assert repr(nn.CST(torch.ones(3, 1, 1), 2.0)) == "CST(tau=(3, 1, 1), m=2)"
    assert "low=-1, high=1" in repr(nn.RangeRestricted(torch.nn.GELU(), -1.0, 1.0))


def test_a_range_holds_any_activation_and_leaves_it_trainable():
    linear = torch.nn.Linear(2, 2)
    y = nn.RangeRestricted(linear, -0.1, 0.1)(torch.full((1, 2), 100.0))
    assert y.abs().max() <= 0.1
    assert linear.weight.requires_grad


def test_meta_modules_can_be_built():
    with torch.device("meta"):
        assert nn.SaturatedReLU(torch.ones(3, 1, 1))(torch.ones(2, 3, 4, 4)).shape == (2, 3, 4, 4)


@pytest.mark.parametrize("build", [lambda: nn.SaturatedReLU(0.5), lambda: nn.HyReLU(0.5)])
def test_a_threshold_trains_when_asked(build):
    module = build()
    module.threshold.requires_grad_()
    before = module.threshold.item()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    (-module(torch.tensor([0.4, 0.5, 0.6])).sum()).backward()
    optimizer.step()
    assert module.threshold.item() > before


def test_the_base_cannot_be_built():
    with pytest.raises(TypeError, match="abstract"):
        nn.Activation()


def test_a_model_can_be_traced_symbolically():
    model = torch.nn.Sequential(
        nn.SaturatedReLU(1.0),
        nn.ZeroedReLU(2.0),
        nn.HyReLU(3.0),
        nn.OutputGuard(-1.0, 1.0),
        nn.RangeRestricted(torch.nn.GELU(), -1.0, 1.0),
        nn.ShiftedReLU(0.1),
        nn.SoftThreshold(0.1),
        nn.CReLU(0.1, 1.0),
        nn.CST(0.1, 1.0),
    )
    traced = torch.fx.symbolic_trace(model)
    assert torch.equal(traced(X[1:4]), model(X[1:4]))
    calls = [node.target for node in traced.graph.nodes if node.op == "call_function"]
    assert len([call for call in calls if call is not at_least_zero]) == 9
