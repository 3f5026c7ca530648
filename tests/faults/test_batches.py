import math

import pytest
import torch
from torch import nn

from clipact.errors import CampaignError
from clipact.faults import Classification

LABELS = torch.tensor([0, 1, 2, 0])
OUTPUTS = torch.eye(4, 3)


class Replay(nn.Module):
    """Gives prepared outputs, whatever the input."""

    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs

    def forward(self, inputs):
        return self.outputs


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.flip(1),
        lambda x: x[torch.tensor([1, 0, 2, 3])],
        lambda x: torch.where(x == math.inf, -math.inf, x),
        lambda x: x.view(2, 4),
        lambda x: -x,
    ],
)
def test_other_inputs_with_the_same_labels_are_detected(change):
    inputs = torch.tensor([[0.0, math.inf], [1.0, -1.0], [2.0, -2.0], [0.0, 0.0]])

    class Changes:
        """Gives other inputs the second time it is read."""

        def __init__(self):
            self.reads = 0

        def __iter__(self):
            self.reads += 1
            yield (inputs if self.reads == 1 else change(inputs)), LABELS

    with pytest.raises(CampaignError, match="batch 0 is not that of the golden run"):
        Classification(Changes()).golden(Replay(OUTPUTS))


@pytest.mark.parametrize("keywords", [False, True])
def test_a_model_that_writes_into_its_input_leaves_the_data(keywords):
    class Writes(Replay):
        def forward(self, inputs):
            inputs.add_(1.0)
            return self.outputs

    inputs = torch.zeros(4, 1)
    batches = [({"inputs": inputs} if keywords else inputs, LABELS)]
    model = Writes(OUTPUTS)
    Classification(batches, device="cpu").golden(model).evaluate(model)
    Classification(batches).golden(model).evaluate(model)
    assert not inputs.any()


def test_any_type_of_input_is_recognised():
    inputs = {
        "a": torch.zeros((), dtype=torch.bfloat16),
        "b": torch.ones(2, dtype=torch.bool),
        "c": torch.zeros(3, dtype=torch.complex64).conj(),
        "d": torch.eye(3).to_sparse(),
        "e": torch.zeros(2, 3).t(),
        "f": "text",
    }

    class Takes(Replay):
        def forward(self, **_):
            return self.outputs

    golden = Classification([(inputs, LABELS)]).golden(Takes(OUTPUTS))
    assert golden.evaluate(Takes(OUTPUTS)) == golden.metrics
