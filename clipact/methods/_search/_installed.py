"""Put thresholds at the profiled extremes, and keep the profile."""

from typing import NamedTuple

from torch import nn

from clipact.calibration import (
    Batches,
    Granularity,
    Profile,
    calibrate,
    model_inputs,
    peek,
    to_device_of,
)
from clipact.methods._base import Scope
from clipact.methods._bounds import Bounds, Make, output_guard
from clipact.surgery import Receipt, guard_output, replace_activations


class Installed(NamedTuple):
    """A protected model and what is known of its activations."""

    receipt: Receipt
    profile: Profile


def install_at_extremes(
    model: nn.Module,
    train: Batches,
    scope: Scope,
    make: Make,
    *,
    granularity: Granularity,
    guard: Bounds | None,
) -> Installed:
    """Profile with sketches of the granularity, and put ``make(site, low, high)`` at every site.

    Raises:
        CalibrationError: A guard is asked for, but the output is not one tensor of logits.
    """
    first, batches = peek(train)
    profile = calibrate(
        model,
        batches,
        where=scope.where,
        kinds=scope.kinds,
        quantiles=granularity,
        progress=scope.progress,
    )
    guards = output_guard(profile, guard) if guard else None
    bounds = Bounds(granularity, 100.0, 1.0)
    receipt = replace_activations(
        model,
        lambda site: make(site, *bounds.of(profile[site.name])),
        example=to_device_of(model, model_inputs(first)),
        where=scope.where,
        kinds=scope.kinds,
    )
    receipt = receipt if guards is None else receipt.then(guard_output(model, guards))
    return Installed(receipt, profile)
