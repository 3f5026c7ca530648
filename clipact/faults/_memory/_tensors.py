"""The tensors of a model by name, each word of memory once."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from clipact.errors import FaultError
from clipact.faults._memory._held import Held, parts
from clipact.faults._memory._home import Home
from clipact.faults._memory._region import Region
from clipact.faults._memory._storage import unaddressable
from clipact.where import Where, select

_PARAMETRISED = re.compile(r"(?:(?P<owner>.*)\.)?parametrizations\.(?P<leaf>\w+)")
_FSDP = "torch.distributed.fsdp"
_WRAPPERS = re.compile(r"(?<![^.])(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")


class TargetTensor(NamedTuple):
    """A tensor that faults may fall on.

    Attributes:
        name: Dotted name in the model.
        tensor: The tensor with the words: the parameter or buffer itself, or the integers of a quantised one.
        region: The words it occupies in memory.
        home: Where it lives, if the model is to be told of changes.
    """

    name: str
    tensor: Tensor
    region: Region
    home: Home | None = None

    @property
    def identity(self) -> int:
        """The same as long as the model has the same tensor."""
        return id(self.tensor if self.home is None else self.home.key)


class _Candidate(NamedTuple):
    name: str
    kind: type
    held: Held


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
    model: nn.Module, where: Where | None, found: Sequence[Held], what: str
) -> list[TargetTensor]:
    """The tensors that ``where`` picks, each under the first name it was found by.

    Args:
        model: The model they were found in.
        where: Sees dotted names and owners' types; None for everything.
        found: Tensors under every name they have.
        what: What they are, for the error message.

    Raises:
        SelectionError: Nothing is picked.
        FaultError: As :func:`distinct`, or the model is spread over processes.
    """
    _check_whole(model)
    every = [part for held in found for part in parts(held)]
    first: dict[object, str] = {}
    for held in every:
        first.setdefault(held.identity, held.name)
    kinds = {} if where is None else _kinds(model)
    candidates = [_Candidate(held.name, kinds.get(held.owner, type(model)), held) for held in every]
    picked = [each.held for each in select(where, candidates, what=what)]
    return distinct(held._replace(name=first[held.identity]) for held in picked)


def _check_whole(model: nn.Module) -> None:
    for path, module in model.named_modules():
        if any(base.__module__.startswith(_FSDP) for base in type(module).__mro__):
            raise FaultError(
                f"{path or 'the model'} is wrapped in FSDP, which spreads its weights over processes; inject into the model"
                " before it is wrapped, or into one that holds the full weights"
            )


def _kinds(model: nn.Module) -> dict[str, type]:
    """Of each module's path, the type that owns its parameters; for a parametrisation, that of the parametrised module."""
    kinds: dict[str, type] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        parametrised = _PARAMETRISED.fullmatch(path)
        kinds[path] = kinds[parametrised["owner"] or ""] if parametrised else type(module)
    return kinds


def distinct(found: Iterable[Held]) -> list[TargetTensor]:
    """Each region of memory once, under the first name met; empty tensors left out.

    Raises:
        FaultError: A tensor has no words that can be changed in place, two overlap in part, or all are empty.
    """
    items: list[TargetTensor] = []
    for held in found:
        if problem := held.problem or unaddressable(held.tensor):
            raise FaultError(f"{held.name} {problem}; leave it out with where=")
        if held.tensor.numel():
            items.append(TargetTensor(held.name, held.tensor, _region(held), held.home))
    if not items:
        raise FaultError("the target's tensors have no elements, so there is no bit to hit")
    return unique(items)


def unique(items: Iterable[TargetTensor]) -> list[TargetTensor]:
    """Each region of memory once, under the first name met.

    Raises:
        FaultError: Two overlap in part.
    """
    kept: list[TargetTensor] = []
    holders: dict[tuple[torch.device, int], dict[Region, str]] = {}
    for item in items:
        region = item.region
        beside = holders.setdefault((region.device, region.storage), {})
        if region in beside:
            continue
        for other, holder in beside.items():
            if region.overlaps(other):
                raise FaultError(
                    f"{holder} and {item.name} share some words of memory but not all, so a bit would be counted twice;"
                    " leave one of them out with where="
                )
        beside[region] = item.name
        kept.append(item)
    return kept


def _region(held: Held) -> Region:
    region = Region.of(held.tensor)
    memory = None if held.home is None else held.home.memory
    return region if memory is None else region._replace(storage=memory)
