"""What tracing keeps open, what it fixes, and what it refuses."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from clipact.errors import SurgeryError
from clipact.nn import SaturatedReLU
from clipact.surgery import replace_activations

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
INF = float("inf")


def replace(model, x=X, threshold=INF):
    return replace_activations(model, lambda _: SaturatedReLU(threshold), example=x)


def twins(models, case):
    torch.manual_seed(0)
    model, golden = getattr(models, case)(), getattr(models, case)()
    golden.load_state_dict(model.state_dict())
    return model, golden


@pytest.mark.parametrize(
    ("example", "other", "argument"),
    [
        ({"x": X}, {"x": X, "mask": X}, "mask was None"),
        ({"x": X, "times": 2}, {"x": X}, "times was 2"),
        ({"x": X, "mask": X}, {"x": X}, "mask was 'a tensor'"),
        ({"x": X, "parts": [X, X]}, {"x": X, "parts": [X]}, r"len\(parts\) was 2"),
        ({"x": X, "extra": X}, {"x": X}, r"list\(options\) was \['extra'\]"),
        ({"x": X}, {"x": X, "extra": X}, r"options was \{\}"),
    ],
)
def test_what_was_no_tensor_is_fixed_and_checked(example, other, argument, models):
    model, golden = twins(models, "Optional")
    replace(model, example)
    assert torch.equal(model(**example), golden(**example))
    with pytest.raises(
        SurgeryError, match=f"Optional was rewritten for an example in which {argument}"
    ):
        model(**other)


def test_positional_arguments(models):
    model, golden = twins(models, "Optional")
    replace(model, (X, X, X, X))
    assert torch.equal(model(X, X, 2 * X, X), golden(X, X, 2 * X, X))
    with pytest.raises(SurgeryError, match=r"len\(more\) was 2"):
        model(X, X, X)


def test_arguments_that_cannot_be_fixed_are_refused(snapshot):
    class Takes(nn.Module):
        def forward(self, x, cache):
            return F.relu(x)

    model = Takes()
    before = snapshot(model)
    with pytest.raises(SurgeryError, match="its argument cache is of type object"):
        replace(model, (X, object()))
    before.assert_same()


def test_factories_are_called_each_time(models):
    model, golden = twins(models, "Factories")
    replace(model)
    for rows in (1, 3, 7):
        assert torch.equal(model(X[:1].expand(rows, 6)), golden(X[:1].expand(rows, 6)))
    model.offset.zero_()
    golden.offset.zero_()
    assert torch.equal(model(X), golden(X))


def test_random_numbers_are_drawn_each_time(models):
    model, _ = twins(models, "Noisy")
    state = torch.get_rng_state()
    replace(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(model(X), model(X))


def test_baked_in_constants_are_refused(snapshot):
    class Literal(nn.Module):
        def forward(self, x):
            return F.relu(x + torch.from_numpy(np.ones(6, dtype=np.float32)))

    model = Literal()
    before = snapshot(model)
    with pytest.raises(SurgeryError, match="creates _tensor_constant0"):
        replace(model)
    before.assert_same()


class Counting(nn.Module):
    """Changes an attribute at every call."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 6)
        self.calls = 0
        self.seen = []

    def forward(self, x):
        self.calls += 1
        self.seen.append(1)
        return F.relu(self.linear(x))


def test_mutated_attributes_are_refused_and_put_back():
    model = Counting()
    with pytest.raises(SurgeryError, match="changes or creates calls, seen"):
        replace(model)
    assert len(model.seen) == model.calls == 2  # the two runs of the example, not the tracing
