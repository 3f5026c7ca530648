"""Small models, each with one difficulty."""

import torch
import torch.nn.functional as F
from torch import nn


class Functional(nn.Module):
    """Activations in every spelling, some in place with the result thrown away."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x):
        x = F.relu(self.linear(x))
        x = torch.relu(self.linear(x))
        y = self.linear(x)
        y.relu_()
        y = F.gelu(self.linear(y), approximate="tanh")
        F.leaky_relu(y, 0.2, inplace=True)
        return F.hardswish(self.linear(y)) + y + F.silu(x)


class Shared(nn.Module):
    """One module called three times, in place."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.relu(self.linear(x))
        out = self.relu(self.linear(out))
        return self.relu(out + x)


class Overwriting(nn.Module):
    """Goes on to use what an in-place activation overwrote."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.linear(x)
        out = self.relu(x)
        return self.linear(out) + x


class Modal(nn.Module):
    """Does something else in training mode."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x):
        x = F.relu(self.linear(x))
        if self.training:
            x = x * 2
        return F.dropout(x, 0.5, training=self.training)


class Optional(nn.Module):
    """Arguments that are tensors, None, flags, lists, keywords."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x, mask=None, *more, times: int = 1, parts=(), **options):
        x = F.relu(self.linear(x))
        if mask is not None:
            x = x * mask
        for _ in range(times):
            x = x + 1
        for part in parts:
            x = x + part
        return x + sum(more) + sum(options.values())


class Factories(nn.Module):
    """Creates tensors whose size and values depend on the input."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.register_buffer("offset", torch.ones(6))

    def forward(self, x):
        ramp = torch.arange(x.shape[0], device=x.device)[:, None] + torch.zeros(x.shape[0], 1)
        return F.relu(self.linear(x) + ramp + self.offset + torch.ones(6))


class Noisy(nn.Module):
    """Draws random numbers at every call."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x):
        return F.relu(self.linear(x) + torch.rand(6))


class Dependent(nn.Module):
    """Calls its activation once or twice, depending on the data."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.relu = nn.ReLU()

    def forward(self, x):
        x = self.relu(self.linear(x))
        if bool(x.sum() > -1):
            x = self.relu(x - 0.1)
        return x


class DependentFunctional(nn.Module):
    """Calls a function, depending on the data."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x):
        x = self.linear(x)
        return F.relu(x) if bool(x.sum() > -1e9) else x


class Asking(nn.Module):
    """Asks what its argument is."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x):
        x = self.linear(x) if isinstance(x, torch.Tensor) else self.linear(x[0])
        return F.relu(x)


class Stored(nn.Module):
    """Keeps its activation as a function in an attribute."""

    def __init__(self, function=F.gelu):
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.act = function
        self.after = 1

    def forward(self, x):
        if x.dim() == 2 and x.shape[0] > 0:
            x = self.act(self.linear(x))
        return x


class Listed(nn.Module):
    """Calls its activation through a list that nobody registered."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.relu = nn.ReLU()
        self.steps = [self.linear, self.relu]

    def forward(self, x):
        for step in self.steps:
            x = step(x)
        return x


class Twice(nn.Module):
    """Runs one block twice."""

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x):
        return self.block(self.block(x))


class Nested(nn.Module):
    """Children in lists, one of them called several times."""

    def __init__(self):
        super().__init__()
        self.linears = nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
        self.acts = nn.ModuleList([nn.PReLU(), nn.ELU()])

    def forward(self, x):
        for linear in self.linears:
            x = self.acts[0](linear(x))
        return {"out": self.acts[1](x), "more": [x]}
