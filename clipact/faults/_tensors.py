"""The tensors of a model by name, each word of memory once."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from clipact.errors import FaultError
from clipact.faults._region import Region
from clipact.faults._storage import check_addressable
from clipact.where import Where, select

_PARAMETRISED = re.compile(r"(?:(?P<owner>.*)\.)?parametrizations\.(?P<leaf>\w+)")


class Held(NamedTuple):
    """A tensor under one of its names in a model, and the type of the module that owns it."""

    name: str
    kind: type
    tensor: Tensor


class TargetTensor(NamedTuple):
    """A tensor that faults may fall on.

    Attributes:
        name: Dotted name in the model.
        kind: Type of the module that owns it (for a parametrised weight, of the module that has the weight).
        tensor: The parameter or buffer itself.
        region: The words it occupies in memory.
    """

    name: str
    kind: type
    tensor: Tensor
    region: Region


def parameters(model: nn.Module) -> list[Held]:
    """Every parameter under every name it has, in the model's order."""
    return _locate(model, model.named_parameters(remove_duplicate=False))


def buffers(model: nn.Module) -> list[Held]:
    """Every buffer under every name it has, in the model's order."""
    return _locate(model, model.named_buffers(remove_duplicate=False))


def _locate(model: nn.Module, named: Iterable[tuple[str, Tensor]]) -> list[Held]:
    kinds: dict[str, type] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        parametrised = "parametrizations." in path and _PARAMETRISED.fullmatch(path)
        kinds[path] = kinds[parametrised["owner"] or ""] if parametrised else type(module)
    return [Held(name, kinds[name.rpartition(".")[0]], tensor) for name, tensor in named]


def is_bias(name: str) -> bool:
    """Whether a parameter of this dotted name is called bias; the original of a parametrised one by its own name."""
    path, _, leaf = name.rpartition(".")
    if leaf.startswith("original") and (parametrised := _PARAMETRISED.fullmatch(path)):
        leaf = parametrised["leaf"]
    return "bias" in leaf.split("_")


def choose(where: Where | None, found: Sequence[Held], what: str) -> list[TargetTensor]:
    first: dict[int, Held] = {}
    for tensor in found:
        first.setdefault(id(tensor.tensor), tensor)
    return distinct([first[id(t.tensor)] for t in select(where, found, what=what)])


def distinct(tensors: Iterable[Held | TargetTensor]) -> list[TargetTensor]:
    """Each region of memory once, under the first name met; empty tensors left out.

    Raises:
        FaultError: A tensor has no words that can be changed in place, two overlap in part, or all are empty.
    """
    kept: list[TargetTensor] = []
    holders: dict[tuple[torch.device, int], dict[Region, str]] = {}
    for candidate in tensors:
        check_addressable(candidate.name, candidate.tensor)
        if candidate.tensor.numel() == 0:
            continue
        region = Region.of(candidate.tensor)
        beside = holders.setdefault((region.device, region.storage), {})
        if region in beside:
            continue
        for other, name in beside.items():
            if region.overlaps(other):
                raise FaultError(
                    f"{name} and {candidate.name} share some words of memory but not all, so a bit would be counted"
                    " twice; leave one of them out with where="
                )
        beside[region] = candidate.name
        kept.append(TargetTensor(candidate.name, candidate.kind, candidate.tensor, region))
    if not kept:
        raise FaultError("the target's tensors have no elements, so there is no bit to hit")
    return kept
