import io

import pytest
import torch
from torch import nn

from clipact import faults
from clipact.errors import CampaignError
from clipact.report import accuracy_vs_ber


def campaign(fault, evaluation=None):
    model = nn.Linear(4, 4, bias=False)
    nn.init.eye_(model.weight)
    evaluation = evaluation or faults.Classification([(torch.eye(4), torch.arange(4))])
    return faults.Campaign(model, evaluation, fault=fault, target=faults.Weights(), trials=8).run(
        progress=False
    )


@pytest.fixture(scope="module")
def result():
    return campaign([faults.BitFlip(rate=rate) for rate in (0.05, 0.001, 0.01)])


def test_curves_pass_through_the_means_by_rising_rate(result):
    figure = accuracy_vs_ber({"plain": result, "again": result}, title="Here")
    (axes,) = figure.axes
    curve = next(line for line in axes.get_lines() if line.get_label() == "plain")
    means = {row.fault.rate: 100 * row.means["accuracy"].estimate for row in result.summary().rows}
    assert curve.get_xdata().tolist() == [0.001, 0.01, 0.05]
    assert curve.get_ydata().tolist() == [means[rate] for rate in (0.001, 0.01, 0.05)]
    assert axes.get_xscale() == "log"
    assert axes.get_title(loc="left") == "Here"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "plain",
        "again",
        "golden",
    ]


def test_bands_are_the_intervals(result):
    (axes,) = accuracy_vs_ber([result]).axes
    corners = {
        (round(x, 9), round(y, 9))
        for path in axes.collections[0].get_paths()
        for x, y in path.vertices
    }
    for row in result.summary().rows:
        mean = row.means["accuracy"]
        assert {
            (round(row.fault.rate, 9), round(100 * end, 9)) for end in (mean.low, mean.high)
        } <= corners


def test_a_share_is_drawn_in_percent_and_anything_else_as_it_is(result):
    (axes,) = accuracy_vs_ber([result], metric="due").axes
    assert axes.get_ylabel().startswith("due (%)")
    loss = campaign(
        [faults.BitFlip(rate=0.01)],
        evaluation=lambda model: float(model.weight.abs().sum().clamp(max=50)) + 2,
    )
    (axes,) = accuracy_vs_ber([loss], metric="value").axes
    assert axes.get_ylabel().startswith("value, mean")
    low, high = axes.get_ylim()
    drawn = [y for line in axes.get_lines() for y in line.get_ydata()]
    assert low <= min(drawn) <= max(drawn) <= high
    assert 6.0 in drawn  # golden


def test_names_stay_names(result):
    figure = accuracy_vs_ber({"_hidden": result, "a $\\frac b": result})
    figure.savefig(io.BytesIO(), format="png")
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels[0].strip() == "_hidden"


def test_what_cannot_be_drawn(result):
    with pytest.raises(CampaignError, match="got no result"):
        accuracy_vs_ber([])
    with pytest.raises(
        CampaignError, match="campaign 1 has no metric 'f1'; it has accuracy, sdc, due"
    ):
        accuracy_vs_ber([result], metric="f1")
    with pytest.raises(CampaignError, match=r"needs BitFlip\(rate=…\) above 0"):
        accuracy_vs_ber({"counts": campaign(faults.BitFlip(count=1))})


def test_pyplot_is_left_alone(result):
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    accuracy_vs_ber([result])
    assert pyplot.get_fignums() == before
