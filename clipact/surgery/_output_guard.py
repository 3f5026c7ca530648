"""Hold what a layer returns: the guard is a child of the layer, applied by a forward hook."""

from itertools import count
from typing import Any, Final, final

import torch
from torch import nn

from clipact.errors import SelectionError, SurgeryError
from clipact.surgery._guard import refuse_unfit
from clipact.surgery._journal import Journal
from clipact.surgery._names import join
from clipact.surgery._outputs import map_first
from clipact.surgery._receipt import Receipt
from clipact.surgery._registered import registered
from clipact.surgery._site import Site

__all__ = ["attach", "attach_output", "guard_output"]

_CHILD: Final = "output_guard"


@final
class _GuardOutput:
    """The hook: finds the guard by name, so that copies and replicas of the layer use their own."""

    def __init__(self, child: str) -> None:
        self.child = child

    def __call__(self, module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
        guard: nn.Module = getattr(module, self.child)
        return map_first(output, guard)


def attach_output(model: nn.Module, path: str, guard: nn.Module, child: str = _CHILD) -> Receipt:
    """Pass the output of one layer through ``guard``, in place.

    The guard becomes a child of the layer, so it is saved, moved and copied with it; the layer's own keys in the
    ``state_dict`` stay. Of several outputs (attention, recurrent layers, mappings) the first tensor that has
    dimensions is guarded.

    Args:
        model: Any module.
        path: Dotted path of the layer; ``""`` for the model itself.
        guard: What its output passes through, for example :class:`clipact.nn.OutputGuard`.
        child: Name under which the guard is registered in the layer.

    Raises:
        SelectionError: There is no such layer.
        SurgeryError: The layer runs its children in a forward of its own that would also run the guard, the name is
            taken, or the guard is no module.
    """
    refuse_unfit(model)
    if not isinstance(guard, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may not be typed
        raise SurgeryError(f"the guard is a {type(guard).__name__}; it must be an nn.Module")
    if not child or "." in child:
        raise SurgeryError(
            f"the guard cannot be called {child!r}; a child's name is not empty and has no dots"
        )
    journal = Journal()
    layer = dict(model.named_modules(remove_duplicate=False)).get(path)
    if layer is None:
        raise SelectionError(
            f"{type(model).__name__} has no module at {path!r} whose output could be guarded"
        )
    if child in registered(layer) or hasattr(layer, child):
        raise SurgeryError(
            f"{path or 'the model'} already has something called {child!r}; choose another child name"
        )
    attach(journal, path, layer, guard, child)
    site = Site(path, type(layer), torch.Size([]), 1, nn.Identity())
    return Receipt([(site, guard)], journal)


def guard_output(model: nn.Module, guard: nn.Module) -> Receipt:
    """Pass the output of the model, its logits, through ``guard``, in place.

    Args:
        model: Any module.
        guard: For example :class:`clipact.nn.OutputGuard`. Its name in the model is ``output_guard``.

    Raises:
        SurgeryError: As :func:`attach_output`.

    Examples:
        >>> from clipact.nn import OutputGuard
        >>> model = nn.Linear(2, 2)
        >>> receipt = guard_output(model, OutputGuard(-1.0, 1.0))
        >>> bool((model(torch.full((1, 2), 1e9)).abs() <= 1).all())
        True
        >>> receipt.restore()
    """
    return attach_output(model, "", guard, free_child(model))


def free_child(layer: nn.Module) -> str:
    """The first free name for a guard in this layer."""
    names = (_CHILD if number == 1 else f"{_CHILD}_{number}" for number in count(1))
    return next(name for name in names if not hasattr(layer, name))


def attach(journal: Journal, path: str, layer: nn.Module, guard: nn.Module, child: str) -> None:
    """Register the guard in the layer and have it applied.

    Raises:
        SurgeryError: As :func:`attach_output`.
    """
    guard.train(layer.training)
    label = join(path, child)
    runs_children = isinstance(layer, nn.Sequential | nn.ModuleList | nn.ModuleDict)
    if runs_children and type(layer).forward is not nn.Sequential.forward:
        raise SurgeryError(
            f"{path or 'the model'} ({type(layer).__name__}) is a list of children with a forward of its own, which may run "
            "the guard like any other; wrap it in a module, or guard its last layer"
        )
    journal.set_child(label, layer, child, guard)
    if not runs_children:
        journal.add_hook(layer, _GuardOutput(child))
