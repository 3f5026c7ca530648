"""Ask the recipe for the new modules, and check all of them before anything is changed."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from clipact.errors import SurgeryError, ThresholdError
from clipact.nn import Activation
from clipact.surgery._call import Call
from clipact.surgery._site import Site

__all__ = ["Recipe", "new_modules", "refuse_class"]

Recipe = Callable[[Site], nn.Module]


def refuse_class(recipe: Any) -> None:
    """A module class is no recipe: it would take the site for its first setting.

    Raises:
        SurgeryError: It is one.
    """
    if isinstance(recipe, type) and issubclass(recipe, nn.Module):
        raise SurgeryError(
            f"the recipe is the class {recipe.__name__}; pass a function of the site, such as "
            f"lambda site: {recipe.__name__}(...)"
        )


def new_modules(recipe: Recipe, chosen: Sequence[tuple[Site, Call]]) -> dict[str, nn.Module]:
    """What the recipe makes of each site, by name.

    Raises:
        SurgeryError: Something that is no module, or one module with parameters for two sites.
        ThresholdError: Thresholds that do not fit their sites; all of them are named.
    """
    modules: dict[str, nn.Module] = {}
    first: dict[int, str] = {}
    problems: list[str] = []
    for site, call in chosen:
        module: Any = recipe(site)
        if not isinstance(module, nn.Module):
            raise SurgeryError(
                f"the recipe gave a {type(module).__name__} for site {site.name!r}; it must return an nn.Module"
            )
        other = first.setdefault(id(module), site.name)
        if other != site.name and _has_state(module):
            raise SurgeryError(
                f"the recipe gave the same {type(module).__name__} for sites {other!r} and {site.name!r}; a module with "
                "parameters needs to be made anew for each site"
            )
        problems += _misfits(module, call)
        modules[site.name] = module
    if problems:
        raise ThresholdError("; ".join(problems))
    return modules


def _has_state(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None or next(module.buffers(), None) is not None


def _misfits(module: nn.Module, call: Call) -> Iterator[str]:
    if not isinstance(module, Activation):
        return
    for name in module.threshold_names:
        shape: torch.Size = getattr(module, name).shape
        for site_shape in dict.fromkeys(call.shapes):
            if not _fits(shape, site_shape):
                yield (
                    f"{name} of shape {tuple(shape)} does not fit site {call.name!r}, whose output has shape "
                    f"{tuple(site_shape)}: it must broadcast to it without enlarging it"
                )


def _fits(shape: torch.Size, site: torch.Size) -> bool:
    try:
        return torch.broadcast_shapes(shape, site) == site
    except RuntimeError:
        return False
