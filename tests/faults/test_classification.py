import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from clipact.errors import CampaignError
from clipact.faults import Classification

LABELS = torch.tensor([0, 1, 2, 0])
OUTPUTS = torch.tensor([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0], [1.0, 0.0, 0.5], [0.1, 0.2, 0.3]])


class Replay(nn.Module):
    """Gives prepared outputs, whatever the input."""

    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs

    def forward(self, inputs):
        return self.outputs


BATCHES = [(torch.zeros(4, 1), LABELS)]


def test_the_metrics_against_a_hand_count():
    golden = Classification(BATCHES).golden(Replay(OUTPUTS))
    assert golden.metrics == {"accuracy": 0.5, "sdc": 0.0, "due": 0.0}
    faulty = OUTPUTS.clone()
    faulty[0] = torch.tensor([1.0, 3.0, 0.0])  # right becomes wrong: SDC
    faulty[1, 1] = math.inf  # DUE, and still right
    faulty[2, 2] = math.nan  # wrong before; no top-1 class now: SDC and DUE
    assert golden.evaluate(Replay(faulty)) == {"accuracy": 0.25, "sdc": 0.5, "due": 0.5}


def test_all_nan_is_never_right():
    golden = Classification(BATCHES).golden(Replay(OUTPUTS))
    assert golden.evaluate(Replay(torch.full((4, 3), math.nan))) == {
        "accuracy": 0.0,
        "sdc": 1.0,
        "due": 1.0,
    }


def test_a_golden_sample_without_top1_that_stays_so_is_no_sdc():
    broken = OUTPUTS.clone()
    broken[3] = math.nan
    golden = Classification(BATCHES).golden(Replay(broken))
    assert golden.evaluate(Replay(broken))["sdc"] == 0.0
    assert golden.metrics["due"] == 0.25


def test_modes_and_statistics_stay(model, bits_of, same_bits):
    model.train()
    model[1].eval()
    before, modes = bits_of(model), [m.training for m in model.modules()]
    evaluation = Classification([(torch.randn(4, 3, 8, 8), LABELS)])
    evaluation.golden(model).evaluate(model)
    assert same_bits(model, before)
    assert [m.training for m in model.modules()] == modes


def test_no_gradients():
    seen = []

    class Spy(Replay):
        def forward(self, inputs):
            seen.append((torch.is_grad_enabled(), self.training))
            return self.outputs

    Classification(BATCHES).golden(Spy(OUTPUTS))
    assert seen == [(False, False)]


def test_keyword_inputs():
    class Words(nn.Module):
        def forward(self, ids, mask):
            return OUTPUTS * mask

    batches = [({"ids": torch.zeros(4), "mask": torch.ones(4, 1)}, LABELS)]
    assert Classification(batches).golden(Words()).metrics["accuracy"] == 0.5


def test_device_says_where_inputs_go():
    class Where(Replay):
        def forward(self, inputs):
            assert inputs.device.type == "meta"
            return self.outputs

    Classification(BATCHES, device="meta").golden(Where(OUTPUTS))


@pytest.mark.parametrize("shuffled", ["labels", "inputs"])
def test_a_loader_that_shuffles_is_detected(shuffled):
    torch.manual_seed(0)
    labels = torch.arange(40) if shuffled == "labels" else torch.zeros(40, dtype=torch.long)
    loader = DataLoader(TensorDataset(torch.randn(40, 4), labels), batch_size=8, shuffle=True)
    with pytest.raises(CampaignError, match="batch 0 is not that of the golden run"):
        Classification(loader).golden(nn.Linear(4, 40))


def test_a_generator_is_read_once_and_kept():
    golden = Classification(batch for batch in BATCHES).golden(Replay(OUTPUTS))
    assert golden.evaluate(Replay(OUTPUTS)) == golden.metrics


def test_critical_and_tolerable_add_up_to_sdc():
    golden = Classification(BATCHES, margin=0.5).golden(Replay(OUTPUTS))
    faulty = OUTPUTS.clone()
    faulty[0] = torch.tensor([1.0, 1.1, 0.0])  # class 1 leads class 0 by 0.04: tolerable
    faulty[1] = torch.tensor([9.0, 2.0, 1.0])  # class 0 leads class 1 by 0.998: critical
    faulty[2] = torch.tensor([1.0, math.inf, 0.5])  # all of the probability: critical
    faulty[3] = torch.tensor([0.1, math.nan, 0.3])  # no top-1 class: critical
    found = golden.evaluate(Replay(faulty))
    assert (found["sdc"], found["critical"], found["tolerable"]) == (1.0, 0.75, 0.25)


def test_a_lead_of_exactly_the_margin_is_tolerable():
    batches = [(torch.zeros(1, 1), torch.tensor([0]))]
    golden = Classification(batches, margin=0.0).golden(Replay(torch.tensor([[1.0, 0.0]])))
    tie = torch.tensor([[-math.inf, -math.inf]])
    assert golden.evaluate(Replay(torch.tensor([[math.inf, math.inf]])))["critical"] == 0.0
    assert golden.evaluate(Replay(tie))["sdc"] == 0.0


@pytest.mark.parametrize("margin", [-0.1, 1.5, "a", math.nan])
def test_a_margin_out_of_range(margin):
    with pytest.raises(CampaignError, match="lead in probability"):
        Classification(BATCHES, margin=margin)


@pytest.mark.parametrize("loader", [[], [(torch.zeros(0, 1), torch.zeros(0, dtype=torch.long))]])
def test_an_empty_loader(loader):
    with pytest.raises(CampaignError, match="no sample"):
        Classification(loader).golden(nn.Linear(1, 3))


@pytest.mark.parametrize(
    "batch",
    [torch.zeros(4, 1), (torch.zeros(4, 1),), (torch.zeros(4, 1), torch.zeros(4, 1)), {"x": 1}],
)
def test_a_batch_that_is_not_a_pair(batch):
    with pytest.raises(CampaignError, match="labels"):
        Classification([batch]).golden(Replay(OUTPUTS))


@pytest.mark.parametrize("output", [OUTPUTS[0], OUTPUTS[:3], {"logits": OUTPUTS}])
def test_an_output_that_is_not_classes(output):
    with pytest.raises(CampaignError, match=r"not a tensor \(N, classes\).*function"):
        Classification(BATCHES).golden(Replay(output))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS.float(), r"labels are torch\.float32"),
        (LABELS - 1, "labels are from -1 to 1"),
        (LABELS + 1, "labels are from 1 to 3, but the model has the classes 0 to 2"),
    ],
)
def test_labels_that_are_not_classes(labels, message):
    with pytest.raises(CampaignError, match=message):
        Classification([(torch.zeros(4, 1), labels)]).golden(Replay(OUTPUTS))


def test_one_logit_is_refused():
    with pytest.raises(CampaignError, match=r"shape \(4, 1\).*threshold on the logit"):
        Classification(BATCHES).golden(Replay(OUTPUTS[:, :1]))


def test_a_batch_says_what_it_is():
    batch = [torch.zeros(4, 1), torch.zeros(4, 2), "id"]
    found = r"a list of 3: a tensor of shape \(4, 1\), a tensor of shape \(4, 2\), a str, not"
    with pytest.raises(CampaignError, match=found):
        Classification([batch]).golden(Replay(OUTPUTS))
