import pytest
import torch
from torch import nn


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def model():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5)
    )


@pytest.fixture
def bits_of():
    """A function: the bits of everything a model holds, by name."""

    def words(tensor):
        ints = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
        return tensor.detach().clone().contiguous().view(ints[tensor.element_size()])

    def of(model):
        held = [*model.named_parameters(), *model.named_buffers()]
        return {name: words(tensor.reshape(-1)) for name, tensor in held}

    return of


@pytest.fixture
def same_bits(bits_of):
    """A function: whether a model holds these bits."""

    def same(model, before):
        now = bits_of(model)
        return now.keys() == before.keys() and all(torch.equal(now[n], before[n]) for n in now)

    return same
