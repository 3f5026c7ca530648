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
_WRAPPERS = re.compile(r"(?<![^.])(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")


class TargetTensor(NamedTuple):
    """A tensor that faults may fall on.

    Attributes:
        name: Dotted name in the model.
        tensor: The parameter or buffer itself.
        region: The words it occupies in memory.
    """

    name: str
    tensor: Tensor
    region: Region


class _Candidate(NamedTuple):
    name: str
    kind: type
    tensor: Tensor


def is_bias(name: str) -> bool:
    """Whether a parameter of this dotted name is called bias; the original of a parametrised one by its own name."""
    path, _, leaf = name.rpartition(".")
    if leaf.startswith("original") and (parametrised := _PARAMETRISED.fullmatch(path)):
        leaf = parametrised["leaf"]
    return "bias" in leaf.split("_")


def unwrapped(name: str) -> str:
    """The name without what wrappers add: torch.compile, FSDP, and a leading ``module.`` of DataParallel or DDP.

    Examples:
        >>> unwrapped("module.layer1._orig_mod.0.weight")
        'layer1.0.weight'
    """
    return _WRAPPERS.sub("", name).removeprefix("module.")


def choose(
    model: nn.Module, where: Where | None, found: Sequence[tuple[str, Tensor]], what: str
) -> list[TargetTensor]:
    """The tensors that ``where`` picks, each under the first name it was found by.

    Args:
        model: The model they were found in.
        where: Sees dotted names and owners' types; None for everything.
        found: Tensors under every name they have.
        what: What they are, for the error message.

    Raises:
        SelectionError: Nothing is picked.
        FaultError: As :func:`distinct`.
    """
    first: dict[int, str] = {}
    for name, tensor in found:
        first.setdefault(id(tensor), name)
    kinds = {} if where is None else _kinds(model)
    candidates = [
        _Candidate(name, kinds.get(name.rpartition(".")[0], type(model)), tensor)
        for name, tensor in found
    ]
    return distinct((first[id(c.tensor)], c.tensor) for c in select(where, candidates, what=what))


def _kinds(model: nn.Module) -> dict[str, type]:
    """Of each module's path, the type that owns its parameters; for a parametrisation, that of the parametrised module."""
    kinds: dict[str, type] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        parametrised = _PARAMETRISED.fullmatch(path)
        kinds[path] = kinds[parametrised["owner"] or ""] if parametrised else type(module)
    return kinds


def distinct(tensors: Iterable[tuple[str, Tensor]]) -> list[TargetTensor]:
    """Each region of memory once, under the first name met; empty tensors left out.

    Raises:
        FaultError: A tensor has no words that can be changed in place, two overlap in part, or all are empty.
    """
    kept: list[TargetTensor] = []
    holders: dict[tuple[torch.device, int], dict[Region, str]] = {}
    for name, tensor in tensors:
        check_addressable(name, tensor)
        if tensor.numel() == 0:
            continue
        region = Region.of(tensor)
        beside = holders.setdefault((region.device, region.storage), {})
        if region in beside:
            continue
        for other, holder in beside.items():
            if region.overlaps(other):
                raise FaultError(
                    f"{holder} and {name} share some words of memory but not all, so a bit would be counted twice;"
                    " leave one of them out with where="
                )
        beside[region] = name
        kept.append(TargetTensor(name, tensor, region))
    if not kept:
        raise FaultError("the target's tensors have no elements, so there is no bit to hit")
    return kept
