"""Put trainable activations into a model, with thresholds at the profiled maxima."""

from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from clipact.calibration import Granularity, SiteProfile, calibrate, to_device_of
from clipact.errors import CalibrationError, SelectionError, TrainingError
from clipact.methods._base import Scope
from clipact.methods._bounds import Bounds, output_guard, with_guard
from clipact.methods._slopes import Slope
from clipact.methods._trained._data import Sets
from clipact.nn import RangeRestricted
from clipact.surgery import Receipt, Site, find_sites, replace_activations

__all__ = ["Layout", "install"]


@final
class Layout(NamedTuple):
    """What thresholds a model gets.

    Attributes:
        granularity: Of all ReLUs but the last.
        last: Of the last ReLU in execution order.
        slope: Of the smooth activations.
        guard: Of the output, None for no guard.
    """

    granularity: Granularity
    last: Granularity
    slope: Slope
    guard: Bounds | None


def install(model: nn.Module, sets: Sets, scope: Scope, layout: Layout) -> Receipt:
    """Profile, then put a smooth activation with a trainable threshold at every ReLU.

    Other activations are zeroed outside their profiled range, with bounds a layer, which are not trained.

    Raises:
        SelectionError: There is no ReLU among the sites.
        TrainingError: A threshold a neuron is asked for where the number of neurons varies.
    """
    profile = calibrate(
        model,
        sets.inputs,
        where=scope.where,
        kinds=scope.kinds,
        quantiles=None,
        progress=scope.progress,
    )
    example = to_device_of(model, sets.inputs[0])
    rectified = [
        site.name
        for site in find_sites(model, example, kinds=scope.kinds)
        if site.name in profile and site.kind is nn.ReLU
    ]
    if not rectified:
        raise SelectionError(
            f"{type(model).__name__} has no ReLU among the {len(profile)} sites asked for, and only thresholds of ReLUs are"
            " trained: restore an earlier protection first, or use ca.methods.ClipToZero for other activations"
        )
    ranges = {
        name: _range(site, layout.last if name == rectified[-1] else layout.granularity)
        for name, site in profile.items()
        if name in rectified
    }

    def make(site: Site) -> nn.Module:
        if site.name in ranges:
            return layout.slope.activation(ranges[site.name])
        found = profile[site.name]
        return RangeRestricted(site.activation, found.minimum(), found.maximum(), zero=True)

    guards = output_guard(profile, layout.guard) if layout.guard else None
    receipt = replace_activations(
        model, make, example=example, where=scope.where, kinds=scope.kinds
    )
    return with_guard(receipt, model, guards)


def _range(site: SiteProfile, granularity: Granularity) -> Tensor:
    """The profiled maximum, which a threshold starts from, in float32 at least: halves lose the steps of training."""
    try:
        found = site.maximum(granularity)
    except CalibrationError:
        raise TrainingError(
            f"a threshold a neuron was asked for at {site.name!r}, whose activation does not have the same size in all batches;"
            " ask for channels there (last=, granularity=), or give inputs of one size"
        ) from None
    return found.to(torch.promote_types(found.dtype, torch.float32))
