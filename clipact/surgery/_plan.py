"""Decide which module goes where, and which containers must be rewritten for it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import final

import torch
from torch import nn

from clipact.surgery._call import Call
from clipact.surgery._names import Origin, Source

__all__ = ["Plan", "make_plan", "shared_plan"]


@final
@dataclass
class Plan:
    """What is to be done.

    Attributes:
        modules: Dotted path -> module that will be there, for chosen calls and for calls that must make way.
        guards: Path of a layer -> module for its output.
        targets: Path of a container that is rewritten -> for each of its calls, by name, the path of the child that
            serves it, relative to the container.
        split: Paths of what was called several times, until its further calls were sent to children of their own.
    """

    modules: dict[str, nn.Module] = field(default_factory=dict)
    guards: dict[str, nn.Module] = field(default_factory=dict)
    targets: dict[str, dict[str, str]] = field(default_factory=dict)
    split: set[str] = field(default_factory=set[str])


def make_plan(
    calls: Mapping[str, Call], chosen: Mapping[str, nn.Module], *, rewrite_in_place: bool = False
) -> Plan:
    """The plan that rewrites least.

    A module that is called once is exchanged where it is registered. Where the container itself calls a function, or
    calls one module more than once, the container is rewritten, and every call of that module gets a child.

    Args:
        calls: All calls by name.
        chosen: The new modules by name of the call.
        rewrite_in_place: Also rewrite containers in which a chosen activation works in place, because they go on to
            use what it overwrote.
    """
    plan = Plan()
    served: list[Call] = []
    rewritten: set[str] = set()
    for source, group in _by_source(calls).items():
        if _is_shared(group, chosen, source):
            plan.modules[source.name] = chosen[group[0].name]
            continue
        for call in group:
            if call.is_output:
                if call.name in chosen:
                    plan.guards[call.name] = chosen[call.name]
                continue
            own = call.name == source.name and source.is_path
            if call.name not in chosen and (own or not _any_chosen(group, chosen, source)):
                continue
            plan.modules[call.name] = chosen.get(call.name, call.activation)
            served.append(call)
            if not own or (rewrite_in_place and call.in_place):
                rewritten.add(call.caller)
    for call in served:
        if call.caller in rewritten:
            plan.targets.setdefault(call.caller, {})[call.name] = call.name.removeprefix(
                f"{call.caller}."
            )
    plan.split.update(_split(served))
    return plan


def shared_plan(
    calls: Mapping[str, Call], chosen: Mapping[str, nn.Module], containers: list[str]
) -> dict[str, nn.Module] | None:
    """What to choose instead where containers cannot be rewritten: one module for all calls of a shared module.

    Args:
        calls: All calls by name.
        chosen: The new modules by name of the call.
        containers: Those that cannot be rewritten.

    Returns:
        New modules by name in which the calls of these containers share, or None if one module cannot serve them: a
        function is called, only some of a module's calls are chosen, or their new modules differ or have more than
        one threshold.
    """
    result = dict(chosen)
    for source, group in _by_source(calls).items():
        if not any(call.caller in containers and call.name in chosen for call in group):
            continue
        if source.origin is Origin.FUNCTION or any(call.name not in chosen for call in group):
            return None
        first = chosen[group[0].name]
        if not all(_interchangeable(first, chosen[call.name]) for call in group):
            return None
        result.update({call.name: first for call in group})
    return result


def _split(served: list[Call]) -> Iterator[str]:
    """Paths at which only the first of several calls stays."""
    for call in served:
        if call.source.is_path and call.name != call.source.name:
            yield call.source.name


def _by_source(calls: Mapping[str, Call]) -> dict[Source, list[Call]]:
    groups: defaultdict[Source, list[Call]] = defaultdict(list)
    for call in calls.values():
        groups[call.source].append(call)
    return dict(groups)


def _is_shared(group: list[Call], chosen: Mapping[str, nn.Module], source: Source) -> bool:
    """Whether one and the same module is to serve several calls, all there are."""
    new = {id(chosen[call.name]) if call.name in chosen else None for call in group}
    return source.is_path and len(group) > 1 and len(new) == 1 and None not in new


def _any_chosen(group: list[Call], chosen: Mapping[str, nn.Module], source: Source) -> bool:
    return source.is_path and any(call.name in chosen for call in group)


def _interchangeable(one: nn.Module, other: nn.Module) -> bool:
    """Same class, same settings, same values, and none of them more than a single number."""
    left, right = one.state_dict(), other.state_dict()
    return (
        type(one) is type(other)
        and repr(one) == repr(other)
        and left.keys() == right.keys()
        and all(
            value.numel() == 1 and torch.equal(value, right[key]) for key, value in left.items()
        )
    )
