"""A small classifier that is right about everything, so that whatever training spoils can be seen."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import clipact as ca


def network():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5),
        nn.Flatten(), nn.Linear(6 * 16, 8), nn.ReLU(), nn.Linear(8, 3),
    )  # fmt: skip
    with torch.no_grad():
        for _ in range(5):
            model(torch.randn(64, 1, 4, 4))
        model.eval()
        model[-1].weight.mul_(10)
        model[-1].bias.sub_(
            model(torch.randn(256, 1, 4, 4)).mean(0)
        )  # every class for a third of the images
    return model


def labelled(model, seed, batches, size=16):
    """Images, with what the model says about them for labels."""
    images = torch.randn(batches, size, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return [(batch, model(batch).argmax(1)) for batch in images]


@pytest.fixture
def task():
    """A fresh model with training and held-out data."""
    model = network()
    return SimpleNamespace(
        model=model, train=labelled(model, 1, 4), validate=labelled(model, 2, 5, size=20)
    )


def quick(**changes):
    """ProAct in little time, with decays that show."""
    descent = ca.training.Descent
    settings = {
        "decays": (40.0, 4.0, 0.4, 0.04),
        "scalar": descent(rate=2e-2, epochs=3, warmup=1),
        "vector": descent(rate=2e-2, epochs=4, warmup=1),
    }
    return ca.methods.ProAct(**{**settings, **changes})


@pytest.fixture
def proact():
    """Makes a quick ProAct."""
    return quick


def bits(model):
    """Everything in a model that can move, threshold apart."""
    return {
        name: value.clone()
        for name, value in model.state_dict().items()
        if not name.endswith("threshold")
    }


@pytest.fixture
def unmoved():
    """Compares what does not train before and after."""

    def compare(before, model):
        after = bits(model)
        return before.keys() == after.keys() and all(
            torch.equal(
                before[name].reshape(-1).view(torch.uint8), value.reshape(-1).view(torch.uint8)
            )
            for name, value in after.items()
        )

    return SimpleNamespace(bits=bits, same=compare)
