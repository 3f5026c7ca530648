import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from clipact.errors import CampaignError
from clipact.faults._evaluations._batches import split
from clipact.faults._evaluations._loading import Batch, Batches, split_inputs

IMAGES, LABELS = torch.arange(20.0).view(10, 2), torch.arange(10)


class Counting:
    def __init__(self):
        self.reads = 0

    def __iter__(self):
        self.reads += 1
        yield IMAGES[:5], LABELS[:5]
        yield IMAGES[5:], LABELS[5:]


def pairs(batch):
    return Batch(*split(batch))


def test_what_fits_is_read_twice_and_then_kept():
    loader = Counting()
    batches = Batches(loader, pairs)
    for _ in range(3):
        assert [b.inputs.tolist() for b in batches] == [IMAGES[:5].tolist(), IMAGES[5:].tolist()]
    assert (loader.reads, len(batches), batches[1].size) == (2, 2, 5)


def test_what_does_not_fit_is_read_anew():
    loader = Counting()
    batches = Batches(loader, pairs, budget=10)
    assert loader.reads == 1
    for _ in range(3):
        assert torch.equal(torch.cat([b.labels for b in batches]), LABELS)
    assert torch.equal(batches[1].inputs, IMAGES[5:])
    assert loader.reads == 5


def test_what_does_not_fit_and_changes_is_noticed():
    torch.manual_seed(0)
    loader = DataLoader(TensorDataset(IMAGES, LABELS), batch_size=5, shuffle=True)
    batches = Batches(loader, pairs, budget=10)
    with pytest.raises(CampaignError, match="not that of the golden run"):
        list(batches)


def test_a_loader_that_ends_early():
    class Shrinks(Counting):
        def __iter__(self):
            yield from list(super().__iter__())[: 3 - self.reads]

    with pytest.raises(CampaignError, match="gave 1 batches where the golden run had 2"):
        Batches(Shrinks(), pairs)


def test_a_generator_that_does_not_fit():
    with pytest.raises(CampaignError, match="can be read once"):
        Batches(iter(Counting()), pairs, budget=10)


def test_kept_batches_are_copies():
    class Overwrites:
        def __init__(self):
            self.buffer = torch.zeros(2, 2)

        def __iter__(self):
            for value in (1.0, 2.0):
                yield self.buffer.fill_(value), torch.tensor([0, 1])

    assert [b.inputs.mean().item() for b in Batches(Overwrites(), pairs)] == [1.0, 2.0]


def test_inputs_of_batches_that_carry_more():
    assert split_inputs((IMAGES, LABELS)) == Batch(IMAGES, None)
    assert split_inputs({"ids": LABELS}).size == 10
    with pytest.raises(CampaignError, match="not inputs"):
        split_inputs("text")
