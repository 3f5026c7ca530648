"""Pictures of sparsity by site and by depth."""

import pytest
import torch
from torch import nn

import clipact as ca
from clipact.errors import SparsityError


def counted(backward=True):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), ca.nn.ShiftedReLU(0.5))
    with torch.set_grad_enabled(backward), ca.sparsity.SparsityMeter(model) as meter:
        output = model(torch.randn(16, 4)).sum()
        if backward:
            output.backward()
    return meter


def test_bars_are_the_shares_of_the_table():
    meter = counted()
    axes = ca.report.sparsity_by_site(meter).axes[0]
    shares = [100 * row.sparsity for row in meter.table()]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx(shares)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["1", "3"]
    assert [line.get_label() for line in axes.lines[:2]] == ["gradients", "dead units"]


def test_without_a_backward_pass_there_are_no_gradients():
    axes = ca.report.sparsity_by_site(counted(backward=False).table()).axes[0]
    assert "gradients" not in [line.get_label() for line in axes.lines]


def test_a_meter_that_has_seen_nothing():
    with pytest.raises(SparsityError, match="got no site"):
        ca.report.sparsity_by_site(ca.sparsity.SparsityMeter(nn.ReLU()))


def check(scale=1.0):
    torch.manual_seed(0)
    net = nn.Sequential()
    for _ in range(3):
        net.append(nn.Linear(64, 64)).append(ca.nn.ShiftedReLU(0.5))
        nn.init.normal_(net[-2].weight, std=scale)
    return ca.sparsity.check_(net, torch.randn(16, 64))


def test_curves_by_depth():
    found = check()
    upper, lower = ca.report.depth_profile(found).axes
    assert list(upper.lines[0].get_ydata()) == [row.q for row in found]
    assert list(lower.lines[0].get_ydata()) == [100 * row.sparsity for row in found]
    assert list(upper.lines[1].get_ydata()) == [row.expected_q for row in found]
    assert upper.get_yscale() == "log"


def test_several_with_names_and_what_overflows(tmp_path):
    figure = ca.report.depth_profile({"fine": check(), "too large": check(1e30)})
    upper = figure.axes[0]
    assert [text.get_text() for text in upper.get_legend().get_texts()] == ["fine", "too large"]
    assert any(value != value for value in upper.lines[2].get_ydata())  # noqa: PLR0124 - NaN
    figure.savefig(tmp_path / "depth.png")


def test_no_check_at_all():
    with pytest.raises(SparsityError, match="no activation to draw"):
        ca.report.depth_profile({})
