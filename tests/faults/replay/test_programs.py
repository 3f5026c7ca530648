"""Random models: code that aliases, overwrites, shares and decides gives the same bits with golden values as without."""

import random

import pytest
import torch
from torch import nn

from clipact.faults import Weights

WIDTH = 6
OPERATIONS = [
    *["call"] * 8,
    "iadd",
    "add",
    "relu_",
    "half",
    "view",
    "swap",
    "parameter",
    "branch",
    "alias",
    "sine",
    "slots",
    "tail",
    "value",
    "bag",
]


class _Program(nn.Module):
    """A container whose forward is drawn at random: a list of operations on what it has so far."""

    def __init__(self, draw, depth, shared):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(WIDTH) * 0.5)
        self.parts = nn.ModuleList(
            self._part(draw, depth, shared) for _ in range(draw.randint(1, 4))
        )
        self.code = [
            (draw.choice(OPERATIONS), draw.random(), draw.random(), draw.random())
            for _ in range(draw.randint(2, 8))
        ]
        self.result = draw.choice(["last", "last", "last", "given", "sum", "several"])
        self.count = 0 if draw.random() < 0.05 else None

    @staticmethod
    def _part(draw, depth, shared):
        kind = draw.random()
        if kind < 0.3 and depth:
            return _Program(draw, depth - 1, shared)
        if kind < 0.6:
            return nn.Linear(WIDTH, WIDTH)
        if kind < 0.8:
            return draw.choice([nn.ReLU(inplace=True), nn.ReLU(), nn.Dropout(), nn.Identity()])
        if kind < 0.9:
            return draw.choice(shared)
        return nn.Sequential(
            nn.Linear(WIDTH, WIDTH), nn.ReLU(inplace=True), nn.Linear(WIDTH, WIDTH)
        )

    def forward(self, x, bag=None):
        values = [x[0] if isinstance(x, tuple) else x]
        if self.count is not None:
            self.count += 1
            values.append(values[0] * (1 + self.count % 3))
        for name, a, b, c in self.code:
            one, two = values[int(a * len(values))], values[int(b * len(values))]
            if name == "call":
                found = self.parts[int(c * len(self.parts))](values[-1] if b < 0.7 else one)
                values.append(found[0] if isinstance(found, tuple) else found)
            elif name == "bag" and bag is not None:
                bag.append(one)
            else:
                values += self._operate(name, one, two)
            if a < 0.1:
                values[-1] = values[-1].tanh()
        if self.result == "several":
            return values[-1], values[0], 3
        return {"given": values[0], "last": values[-1], "sum": sum(values[1:], values[0])}[
            self.result
        ]

    def _operate(self, name, one, two):
        if name == "iadd":
            one += two.clone()
        elif name == "relu_":
            one.relu_()
        elif name == "half":
            one[:, :3].mul_(0.5)
        elif name == "tail":
            one[1:].mul_(0.9)
        elif name == "slots":
            both = torch.empty(len(one), 2 * WIDTH)
            both[:, :WIDTH], both[:, WIDTH:] = one, two
            return [both[:, :WIDTH], both[:, WIDTH:]]
        elif name == "branch":
            return [two * 1.1 if one.mean() > 0.2 else one - two]
        elif name == "value":
            return [torch.full_like(one, float(one.abs().max()))]
        else:
            return [self._new(name, one, two)]
        return []

    def _new(self, name, one, two):
        if name == "swap":
            return torch.cat(one.chunk(2, 1)[::-1], 1)
        return {
            "add": lambda: one + two,
            "view": lambda: one.view(-1, WIDTH),
            "parameter": lambda: one * self.scale,
            "alias": lambda: one,
            "sine": one.sin,
            "bag": lambda: one,
        }[name]()


class _Root(nn.Module):
    def __init__(self, draw):
        super().__init__()
        shared = [
            nn.Linear(WIDTH, WIDTH),
            nn.ReLU(inplace=True),
            nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(inplace=True)),
        ]
        self.blocks = nn.ModuleList(_Program(draw, 2, shared) for _ in range(draw.randint(1, 4)))
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x):
        bag = []
        for block in self.blocks:
            x = block(x, bag)
            x = x[0] if isinstance(x, tuple) else x
        for value in bag:
            x = x + value.mean()
        return self.head(x), x


def _evaluate(net, batch):
    before = [(m, m.count) for m in net.modules() if isinstance(m, _Program)]
    first, second = net(batch.clone())
    given = first.clone(), second.clone()
    first.add_(1)
    for module, count in before:
        module.count = count
    return given


@pytest.mark.parametrize("seed", range(40))
def test_random_programs(bench, seed):
    draw = random.Random(seed)
    torch.manual_seed(seed)
    batches = [torch.randn(4, WIDTH) for _ in range(2)]
    found = bench(_Root(draw), batches, target=Weights(), evaluate=_evaluate)
    found.record(budget=draw.choice([2**30, 2**30, 2_000, 800]))
    found.check(trials=8, seed=seed)
