"""Profile a model and put a module of the method's at every site."""

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from clipact.calibration import (
    Batches,
    Granularity,
    Profile,
    SiteProfile,
    calibrate,
    model_inputs,
    peek,
    to_device_of,
)
from clipact.methods._base import Scope
from clipact.methods._bounds import Bounds, output_guard, with_guard, without_output
from clipact.surgery import Receipt, Site, replace_activations

Make = Callable[[Site, SiteProfile], nn.Module]


class Installed(NamedTuple):
    """A protected model and what is known of its activations."""

    receipt: Receipt
    profile: Profile


def install_sites(
    model: nn.Module,
    train: Batches,
    scope: Scope,
    make: Make,
    *,
    sketches: Granularity | None,
    guard: Bounds | None,
) -> Installed:
    """Profile, and put ``make(site, profile)`` at every site; with a guard, the layer that gives the output is left to it.

    A faulty logit that a range restricts to a usual value may win the vote; one that the guard sees loses it.

    Raises:
        CalibrationError: A guard is asked for, but the output is not one tensor of logits.
    """
    first, batches = peek(train)
    profile = calibrate(
        model,
        batches,
        where=scope.where,
        kinds=scope.kinds,
        quantiles=sketches,
        progress=scope.progress,
    )
    guards = output_guard(profile, guard) if guard else None
    receipt = replace_activations(
        model,
        lambda site: make(site, profile[site.name]),
        example=to_device_of(model, model_inputs(first)),
        where=scope.where if guards is None else without_output(scope.where, profile),
        kinds=scope.kinds,
    )
    return Installed(with_guard(receipt, model, guards), profile)
