"""What a graph of calls cannot express is refused, and no symbol reaches compiled code as a tensor."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from clipact.errors import SurgeryError
from clipact.nn import RangeRestricted
from clipact.surgery import replace_activations

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
INF = float("inf")


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


APPLY = Straight.apply  # bound before anything can be exchanged


def keep(site):
    return RangeRestricted(site.activation, -INF, INF)


def model_of(compute):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 6)
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            return compute(self, x)

    torch.manual_seed(0)
    return Model()


def in_autocast(model, x):
    y = F.relu(model.linear(x))
    with torch.autocast("cpu", enabled=False):
        return model.linear(y.float())


def in_no_grad(model, x):
    with torch.no_grad():
        return F.relu(model.linear(x))


def in_enable_grad(model, x):
    with torch.enable_grad():
        return F.relu(model.linear(x))


def in_inference(model, x):
    with torch.inference_mode():
        return F.relu(model.linear(x))


def in_save_on_cpu(model, x):
    with torch.autograd.graph.save_on_cpu():
        return F.relu(model.linear(x))


REFUSED = {
    "as_tensor": (lambda m, x: F.relu(torch.as_tensor(x)), ""),
    "asarray": (lambda m, x: F.relu(torch.asarray(x)), ""),
    "tensor": (lambda m, x: F.relu(torch.tensor(x)), ""),
    "function": (lambda m, x: Straight.apply(F.relu(m.linear(x))), "applies Straight"),
    "function of an argument": (lambda m, x: F.relu(Straight.apply(x)), "applies Straight"),
    "bound function": (lambda m, x: APPLY(F.relu(m.linear(x))), "mode that it sets itself"),
    "checkpoint": (
        lambda m, x: checkpoint(lambda y: F.relu(m.linear(y)), x, use_reentrant=False),
        "",
    ),
    "saved tensors": (in_save_on_cpu, "checkpointing"),
    "no_grad": (in_no_grad, "mode that it sets itself"),
    "enable_grad": (in_enable_grad, "mode that it sets itself"),
    "inference": (in_inference, "mode that it sets itself"),
    "autocast": (in_autocast, "mode that it sets itself"),
    "asks for gradients": (
        lambda m, x: F.relu(m.linear(x)) * (2 if torch.is_grad_enabled() else 1),
        "gradients being on",
    ),
    "asks for autocast": (
        lambda m, x: F.relu(m.linear(x)) * (2 if torch.is_autocast_enabled("cpu") else 1),
        "on autocast",
    ),
    "mode of a child": (
        lambda m, x: F.dropout(F.relu(m.linear(x)), 0.5, m.drop.training),
        "training mode of a child",
    ),
    "random": (
        lambda m, x: F.relu(m.linear(x)) * (0 if m.training and random.random() < 0.5 else 1),
        "random numbers",
    ),
    "numpy": (lambda m, x: F.relu(m.linear(x)) * float(np.random.rand() < 2), "random numbers"),  # noqa: NPY002 - the global state is the point
}


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused(case, snapshot):
    compute, reason = REFUSED[case]
    model = model_of(compute)
    before = snapshot(model)
    states = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002 - the global state is the point
    with (
        pytest.warns(UserWarning, match="clone") if case == "tensor" else torch.enable_grad(),
        pytest.raises(SurgeryError, match=f"the model .Model.: .*{reason}"),
    ):
        replace_activations(model, keep, example=X)
    before.assert_same()
    assert states == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002 - as above


@pytest.mark.parametrize(
    "compute",
    [
        lambda m, x: m.linear(F.relu(torch.where(x > 0, x, 0.0))),
        lambda m, x: F.relu(x if isinstance(x, torch.Tensor) else x[0]),
        lambda m, x: F.relu(x if isinstance(x, torch.Tensor | list) else x[0]),
        lambda m, x: F.relu(x if torch.is_tensor(x) else x[0]),
        lambda m, x: F.relu(x[0] if isinstance(x, (list, nn.Parameter)) else x),
    ],
)
def test_arguments_are_tensors_to_python(compute):
    model = model_of(compute)
    golden = model(X)
    replace_activations(model, keep, example=X)
    assert torch.equal(model(X), golden)


def test_gradients_flow_as_before_where_the_model_is_called_without():
    model = model_of(lambda m, x: F.relu(m.linear(x)))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        replace_activations(model, keep, example=X)
    assert not torch.is_autocast_enabled("cpu")
    assert model(X).requires_grad
