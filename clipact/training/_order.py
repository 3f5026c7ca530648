"""In which order thresholds train, and which of them together."""

from collections.abc import Callable, Hashable, Mapping, Sequence

from torch import nn

from clipact.errors import TrainingError
from clipact.training._listed import listed

__all__ = ["Group", "Order", "first_last", "last_first"]

Order = Callable[[Sequence[str]], Sequence[str]]
"""From the names in execution order to the same names in the order of training."""

Group = Callable[[str], Hashable]
"""From a name to a key; thresholds with equal keys train together."""


def last_first(names: Sequence[str]) -> list[str]:
    """From the last threshold to the first, as in ProAct.

    Examples:
        >>> last_first(["stem", "head"])
        ['head', 'stem']
    """
    return list(reversed(names))


def first_last(names: Sequence[str]) -> list[str]:
    """From the first threshold to the last."""
    return list(names)


def plan(names: Sequence[str], order: Order, group: Group | None) -> list[list[str]]:
    """The names of each stage; a group trains where the first of its members would.

    Raises:
        TrainingError: The order misses, repeats or invents a name, or a key cannot be hashed.
    """
    ordered = list(order(list(names)))
    _check_order(names, ordered)
    stages: dict[Hashable, list[str]] = {}
    for name in ordered:
        key = name if group is None else group(name)
        try:
            stages.setdefault(key, []).append(name)
        except TypeError:
            raise TrainingError(
                f"group({name!r}) gave a {type(key).__name__}, which cannot be hashed; give a string, number or tuple"
            ) from None
    return list(stages.values())


def _check_order(names: Sequence[str], ordered: Sequence[str]) -> None:
    missing = [name for name in names if name not in ordered]
    unknown = [name for name in ordered if name not in names]
    repeated = [name for name in dict.fromkeys(ordered) if ordered.count(name) > 1]
    faults = {"misses": missing, "repeats": repeated, "has unknown": unknown}
    found = [f"{what} {listed(which)}" for what, which in faults.items() if which]
    if found:
        raise TrainingError(
            f"the order {'; '.join(found)}; it must give each of the {len(names)} thresholds once"
        )


def check_thresholds(thresholds: Mapping[str, nn.Parameter], model: nn.Module | None) -> None:
    """Refuse thresholds of which no progression can be made.

    Raises:
        TrainingError: There are none, two names have one parameter, or one is not of ``model``.
    """
    if not thresholds:
        raise TrainingError(
            "there are no thresholds to train; put activations that have some into the model first, for example with "
            "ca.protect() or ca.replace_activations()"
        )
    names: dict[int, str] = {}
    for name, threshold in thresholds.items():
        if (first := names.setdefault(id(threshold), name)) != name:
            raise TrainingError(
                f"{first} and {name} are one parameter, which cannot train in two stages; give it under one name"
            )
    if model is not None:
        own = {id(parameter) for parameter in model.parameters()}
        strangers = [name for name, threshold in thresholds.items() if id(threshold) not in own]
        if strangers:
            raise TrainingError(
                f"{listed(strangers)} is not in the model that was given; use ca.thresholds(model) of that model"
            )
