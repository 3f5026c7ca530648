"""What models and evaluations do besides returning tensors must be as in full inferences."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from clipact.faults import BitFlip, Campaign, Weights
from clipact.where import named

INPUTS = torch.randn(8, 12, generator=torch.Generator().manual_seed(1))
HIGH = BitFlip(count=1, bits=(30,))
LIST = []


@dataclass
class Pair:
    first: torch.Tensor
    second: torch.Tensor


class Base(nn.Module):
    """A trunk, and two heads of which faults hit the second."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.a, self.b = nn.Linear(64, 5), nn.Linear(64, 5)
        self.box = {"deep": {"er": [0]}}
        self.source = torch.Generator()

    def forward(self, x):
        h = self.trunk(x)
        return self.a(h) + self.b(h)


class Returns(Base):
    def forward(self, x):
        h = self.trunk(x)
        return Pair(self.a(h), self.b(h))


class Keeps(Base):
    def forward(self, x):
        self.box["deep"]["er"][0] = early = self.trunk[0](x)
        return self.b(self.trunk[2](self.trunk[1](early)))


class Noise(nn.Module):
    def __init__(self, source):
        super().__init__()
        self.source = [source]

    def forward(self, x):
        return x + torch.rand(x.shape, generator=self.source[0])


class Noisy(Base):
    def __init__(self):
        super().__init__()
        self.trunk.append(Noise(self.source))
        self.tail = Noise(self.source)

    def forward(self, x):
        return self.tail(self.b(self.trunk(x)))


class Counts(nn.Module):
    def __init__(self, box):
        super().__init__()
        self.box = box

    def forward(self, x):
        self.box["deep"]["er"][0] += 1
        return x


class Counted(Base):
    def __init__(self):
        super().__init__()
        self.trunk.append(Counts(self.box))


class Appends(nn.Module):
    def forward(self, x):
        LIST.append(1)
        return x


class Listed(Base):
    def __init__(self):
        super().__init__()
        self.trunk.append(Appends())


class Caught(Base):
    def __init__(self):
        super().__init__()
        self.table, self.c = nn.Embedding(2000, 5), nn.Linear(64, 64)

    def forward(self, x):
        h = self.trunk(x)
        z = self.c(h)
        try:
            return self.table(
                (self.b(z).abs() * 10).nan_to_num(1e6, 1e6).clamp(max=1e6).long()
            ).sum(1)
        except IndexError:
            return self.a(h)


class Cached(Base):
    cache = None

    def forward(self, x):
        if self.cache is None or self.cache[0] != self.b.weight._version:
            self.cache = (self.b.weight._version, self.b.weight * 2)
        return self.trunk(x) @ self.cache[1].T


def total(net):
    return {"sum": float(net(INPUTS).double().nan_to_num(0, 1e9, -1e9).clamp(-1e9, 1e9).sum())}


def by_head(net):
    found = net(INPUTS)
    return {"first": float(found.first.sum()), "second": float(found.second.nan_to_num(0).sum())}


def kept(net):
    return total(net) | {"kept": float(net.box["deep"]["er"][0].sum())}


def reseeded(net):
    net.source.manual_seed(3)
    return total(net)


def counted(net):
    net.box["deep"]["er"][0] = 0
    return total(net) | {"calls": float(net.box["deep"]["er"][0])}


def listed(net):
    LIST.clear()
    return total(net) | {"length": float(len(LIST))}


def hooked_inside(net):
    seen = []
    handles = [
        part.register_forward_hook(lambda _m, _a, output: seen.append(float(output.mean())))
        for part in net.modules()
        if isinstance(part, nn.ReLU)
    ]
    try:
        return total(net) | {"hooks": float(len(seen)), "mean": sum(seen)}
    finally:
        for handle in handles:
            handle.remove()


def features(net):
    return total(net) | {"feature": float(net.taken[-1].sum())}


class Taken(Base):
    """Has a hook from before that hands its features out."""

    def __init__(self):
        super().__init__()
        object.__setattr__(self, "taken", [])
        self.trunk[0].register_forward_hook(lambda _m, _a, output: self.taken.append(output))


@pytest.mark.parametrize(
    ("kind", "evaluate"),
    [
        (Base, total),
        (Returns, by_head),
        (Keeps, kept),
        (Noisy, reseeded),
        (Counted, counted),
        (Caught, total),
        (Cached, total),
        (Base, hooked_inside),
        (Taken, features),
    ],
)
def test_replay_is_as_in_full(kind, evaluate):
    torch.manual_seed(0)
    model = kind().eval()
    campaign = Campaign(model, evaluate, fault=HIGH, target=Weights(where=named("b.*")), trials=25)
    tables = [
        [
            repr((t.metrics, t.error, t.digest))
            for t in campaign.run(progress=False, replay=r).trials
        ]
        for r in (True, False)
    ]
    assert tables[0] == tables[1]


def test_what_cannot_be_seen_is_told_by_the_first_trials():
    torch.manual_seed(0)
    campaign = Campaign(
        Listed().eval(), listed, fault=HIGH, target=Weights(where=named("b.*")), trials=10
    )
    with pytest.warns(UserWarning, match="replay is off"):
        found = campaign.run(progress=False)
    assert set(found.values("length")) == {1.0}
