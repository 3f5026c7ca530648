"""Requests that cannot be met, and models that fail late, are refused in plain words."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from clipact.errors import SurgeryError
from clipact.nn import OutputGuard, SaturatedReLU
from clipact.surgery import attach_output, find_sites, guard_output, replace_activations

X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


def chain():
    return nn.Sequential(nn.Linear(6, 6), nn.ReLU())


@pytest.mark.parametrize("kinds", [nn.ReLU, [nn.ReLU], (nn.ReLU,)])
def test_kinds_may_be_one_class_or_a_list(kinds):
    assert len(find_sites(chain(), X, kinds=kinds)) == 1


@pytest.mark.parametrize("kinds", ["ReLU", [nn.ReLU()], [int], int, None])
def test_kinds_must_be_module_classes(kinds):
    with pytest.raises(SurgeryError, match=r"tuple of nn\.Module classes"):
        find_sites(chain(), X, kinds=kinds)


@pytest.mark.parametrize("example", [None, [X], 3])
def test_examples_of_other_types(example):
    with pytest.raises(SurgeryError, match=f"example is of type {type(example).__name__}"):
        find_sites(chain(), example)


def test_a_class_is_no_recipe():
    with pytest.raises(SurgeryError, match="the recipe is the class ReLU"):
        replace_activations(chain(), nn.ReLU, example=X)


def test_a_module_that_fails_in_its_place_is_taken_out_again(snapshot):
    class Keyword(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x):
            return self.relu(input=x)

    class Other(nn.Module):
        def forward(self, z):
            return z

    model = Keyword()
    before = snapshot(model)
    with pytest.raises(SurgeryError, match=r"fails on the example: TypeError: .*'input'"):
        replace_activations(model, lambda _: Other(), example=X)
    before.assert_same()


def test_a_model_that_calls_itself():
    class Deeper(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x, depth=2):
            return self.relu(self(x, depth - 1) - 1) if depth else x

    model = Deeper()
    assert [site.name for site in find_sites(model, X)] == ["relu"]
    replace_activations(model, lambda _: SaturatedReLU(0.1), example=X)
    assert model(X).max() <= 0.1


@pytest.mark.parametrize("child", ["", "a.b"])
def test_names_of_guards(child):
    model = chain()
    with pytest.raises(SurgeryError, match="cannot be called"):
        attach_output(model, "0", OutputGuard(-1.0, 1.0), child)
    assert list(model[0].children()) == []


def test_outputs_without_a_tensor_are_named():
    @dataclass
    class Result:
        logits: torch.Tensor

    class Model(nn.Module):
        def forward(self, x):
            return Result(x)

    model = Model()
    with (
        guard_output(model, OutputGuard(-1.0, 1.0)),
        pytest.raises(SurgeryError, match="type Result cannot be guarded"),
    ):
        model(X)
