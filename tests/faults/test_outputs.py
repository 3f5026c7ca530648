import math

import pytest
import torch
from torch import nn

from clipact.errors import CampaignError
from clipact.faults import BitFlip, Campaign, Outputs, Weights

INPUTS = [torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.ones(2, 3)]


def distance(output, golden):
    return (output - golden).abs().amax(dim=1)


class Gives(nn.Module):
    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, x):
        return self.output


def test_distance_to_the_golden_output():
    golden = Outputs(INPUTS, distance).golden(nn.Identity())
    assert golden.metrics == {"value": 0.0, "due": 0.0}

    class Adds(nn.Module):
        def forward(self, x):
            return x + len(x)

    found = golden.evaluate(Adds())
    assert found["value"] == pytest.approx((6 * 6 + 2 * 2) / 8)


def test_due_is_counted_by_sample_in_every_leaf():
    batches = [torch.zeros(4, 1)]
    clean = {"boxes": torch.zeros(4, 2, 2), "scores": (torch.zeros(4), torch.zeros(1, 4))}
    golden = Outputs(batches, lambda output, golden: 0.0).golden(Gives(clean))
    broken = {"boxes": torch.zeros(4, 2, 2), "scores": (torch.zeros(4), torch.zeros(1, 4))}
    broken["boxes"][1, 0, 0] = math.inf
    broken["scores"][0][1] = math.nan
    broken["scores"][0][3] = math.nan
    assert golden.evaluate(Gives(broken))["due"] == 0.5
    broken["scores"][1][0, 0] = math.nan  # not by sample: all of them
    assert golden.evaluate(Gives(broken))["due"] == 1.0


def test_a_model_that_writes_into_its_golden_output():
    output = torch.zeros(2, 3)
    golden = Outputs([torch.ones(2, 3)], distance).golden(Gives(output))
    output.add_(1.0)
    assert golden.evaluate(Gives(output))["value"] == 1.0


def test_a_mapping_of_metrics_in_a_campaign():
    def metric(output, golden):
        return {"largest": distance(output, golden), "batch": (output - golden).abs().mean()}

    model = nn.Linear(3, 4)
    result = Campaign(
        model, Outputs(INPUTS, metric), fault=BitFlip(count=1), target=Weights(), trials=4
    ).run(progress=False)
    assert list(result.golden) == ["largest", "batch", "due"]
    assert result.values("largest", BitFlip(count=1)).max() > 0


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (lambda output, golden: output, "one number a sample"),
        (lambda output, golden: {"due": 0.0}, "rename them"),
        (lambda output, golden: {"trial": 0.0}, "rename them"),
    ],
)
def test_refuses(metric, message):
    with pytest.raises(CampaignError, match=message):
        Outputs(INPUTS, metric).golden(nn.Identity())


def test_an_empty_loader():
    with pytest.raises(CampaignError, match="no sample"):
        Outputs([], distance).golden(nn.Identity())
