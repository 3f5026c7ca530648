"""A small network with everything a stage must leave alone, its bits, and one update."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from clipact.nn import HyReLU


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        HyReLU(1.0),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        HyReLU(torch.full((4, 1, 1), 1.0)),
        nn.Flatten(),
        nn.Linear(4 * 36, 8),
        nn.LayerNorm(8),
        HyReLU(torch.full((8,), 1.0)),
        nn.Linear(8, 3),
    )


def batches(count=3, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [
        (
            torch.randn(5, 1, 6, 6, generator=generator),
            torch.randint(3, (5,), generator=generator),
        )
        for _ in range(count)
    ]


def bits(model):
    """Every parameter and buffer, as bytes."""
    return {
        name: value.detach().contiguous().reshape(-1).view(torch.uint8).tolist()
        for name, value in model.state_dict().items()
    }


def changed(before, model):
    now = bits(model)
    assert before.keys() == now.keys()
    return {name for name in before if before[name] != now[name]}


def update(model, optimizer, batch):
    images, labels = batch
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()


@pytest.fixture
def staged():
    return SimpleNamespace(
        network=network, batches=batches, bits=bits, changed=changed, update=update
    )
