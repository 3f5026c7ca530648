"""The thresholds of a model, and the form in which its activations are deployed."""

from collections.abc import Iterator

import torch
from torch import nn

from clipact.errors import SelectionError, SurgeryError
from clipact.nn import Activation, HoyerLeaky
from clipact.surgery._journal import Journal
from clipact.surgery._names import join
from clipact.surgery._receipt import Receipt
from clipact.surgery._registered import registered
from clipact.surgery._site import Site

__all__ = ["harden_", "thresholds"]


def thresholds(model: nn.Module) -> dict[str, nn.Parameter]:
    """The threshold parameters of our activations in a model, in execution order.

    The order is that of the example with which they were put there. Activations put there by hand have no known
    position and follow in order of registration, unless they are inside one that has.

    Args:
        model: Any module.

    Returns:
        Parameters by dotted name, as in ``model.named_parameters()``.

    Examples:
        >>> from clipact.nn import SaturatedReLU
        >>> thresholds(nn.Sequential(nn.Linear(2, 2), SaturatedReLU(6.0)))
        {'1.threshold': Parameter containing: tensor([6.])}
    """
    ordered = sorted(_activations(model), key=lambda found: found[0])
    return {
        join(path, name): parameter
        for _, path, module in ordered
        for name in module.threshold_names
        if isinstance(parameter := getattr(module, name), nn.Parameter)
    }


def _activations(model: nn.Module) -> Iterator[tuple[float, str, Activation | HoyerLeaky]]:
    """Each activation with its path and its position, or that of the one around it."""
    outer: dict[str, float] = {}
    for path, module in model.named_modules():
        if isinstance(module, Activation | HoyerLeaky):
            around = next(
                (outer[above] for above in reversed(outer) if path.startswith(f"{above}.")),
                float("inf"),
            )
            outer[path] = around if module.position is None else module.position
            yield outer[path], path, module


def harden_(model: nn.Module) -> Receipt:
    """Replace, in place, each smooth activation of ours by its hard form with the same thresholds.

    Args:
        model: A model with activations such as :class:`clipact.nn.HyReLU`.

    Returns:
        The receipt; its sites carry no shape, since no example is run.

    Raises:
        SelectionError: No activation has another form to deploy.
        SurgeryError: The model itself is the activation; call its ``harden()``.

    Examples:
        >>> from clipact.nn import HyReLU
        >>> model = nn.Sequential(HyReLU(6.0))
        >>> receipt = harden_(model)
        >>> model
        Sequential( (0): ZeroedReLU(threshold=6) )
    """
    if isinstance(model, Activation):
        raise SurgeryError(
            f"the model itself is a {type(model).__name__}; use its harden() instead"
        )
    hard = {
        id(module): module.harden() for module in model.modules() if isinstance(module, Activation)
    }
    journal = Journal()
    changes: list[tuple[Site, nn.Module]] = []
    for path, module in list(model.named_modules()):
        for key, child in list(registered(module).items()):
            if isinstance(child, Activation) and hard.get(id(child), child) is not child:
                name = join(path, key)
                journal.set_child(name, module, key, hard[id(child)])
                changes.append((Site(name, type(child), torch.Size([]), 1, child), hard[id(child)]))
    if not changes:
        raise SelectionError(
            "harden_() found no activation with another form to deploy; the model is hard already"
        )
    changes.sort(key=lambda change: _position(change[1]))
    return Receipt(changes, journal)


def _position(module: nn.Module) -> float:
    position = getattr(module, "position", None)
    return float("inf") if position is None else float(position)
