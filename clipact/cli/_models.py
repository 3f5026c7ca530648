"""Models and targets by what is written on a command line."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from torch import nn

from clipact import faults
from clipact.cli._load import LoadError, call, load

_TORCHVISION = "torchvision:"
TARGETS: Mapping[str, Callable[[], faults.Target]] = {
    "weights": faults.Weights,
    "biases": faults.Biases,
    "buffers": faults.Buffers,
    "thresholds": faults.Thresholds,
}


def model_or_campaign(reference: str) -> nn.Module | faults.Campaign:
    """A model of torchvision (without trained weights), or what a file defines.

    Args:
        reference: ``torchvision:name``, or ``file.py:name`` of a module, a campaign, or a function without arguments that
            returns either.

    Raises:
        LoadError: There is none.
    """
    if reference.startswith(_TORCHVISION):
        return _torchvision(reference.removeprefix(_TORCHVISION))
    found: Any = load(reference)
    plain = callable(found) and not isinstance(found, nn.Module)
    made = call(reference, found) if plain else found
    if isinstance(made, nn.Module | faults.Campaign):
        return made
    raise LoadError(
        f"{reference} is a {type(made).__name__}; name a module, a faults.Campaign, or a function without arguments that"
        " returns one"
    )


def target(names: Sequence[str]) -> faults.Target:
    """The targets of these names as one.

    Raises:
        LoadError: There is no such target.
    """
    for name in names:
        if name not in TARGETS:
            raise LoadError(
                f"there is no target {name!r}; there are {', '.join(TARGETS)}, and activations in a campaign of your own"
            )
    first, *others = (TARGETS[name]() for name in names)
    for other in others:
        first |= other
    return first


def _torchvision(name: str) -> nn.Module:
    from torchvision import models  # noqa: PLC0415 - slow to import

    known = models.list_models()
    if name not in known:
        close = get_close_matches(name, known, n=3) or known[:3]
        raise LoadError(f"torchvision has no model {name!r}; it has {', '.join(close)}, …")
    return models.get_model(name, weights=None).eval()
