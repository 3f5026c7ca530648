"""Ranges read off a profile, and activations that keep to them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

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
from clipact.errors import CalibrationError, ThresholdError
from clipact.methods._base import Scope
from clipact.nn import OutputGuard
from clipact.surgery import Receipt, Site, guard_output, replace_activations
from clipact.where import Where, named

Make = Callable[[Site, Tensor, Tensor], nn.Module]


@final
@dataclass(frozen=True)
class Bounds:
    """How a range is taken from a profile.

    Attributes:
        granularity: One range a layer, channel or neuron.
        percentile: Of the upper tail, in (0, 100]; the lower tail gives up as much. 100 takes maximum and minimum.
        channel_dim: Axis that counts channels, batch included; None for the profile's own.
        margin: Each bound moves outwards by ``margin - 1`` times its own magnitude; 1 leaves the range as profiled.

    Raises:
        ThresholdError: A value outside its range, or a percentile by neuron (profiles keep none).
    """

    granularity: Granularity | str
    percentile: float
    margin: float
    channel_dim: int | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.percentile <= 100.0:
            raise ThresholdError(
                f"percentile={self.percentile} asked for; it lies in (0, 100], and 100 is the maximum"
            )
        if not 0.0 < self.margin < float("inf"):
            raise ThresholdError(
                f"margin={self.margin} asked for; it is a positive factor, and 1 leaves the range as profiled"
            )
        if Granularity(self.granularity) is Granularity.NEURON and self.percentile < 100.0:
            raise ThresholdError(
                f"percentile={self.percentile} by neuron asked for; profiles keep percentiles by layer and channel, and maxima by neuron"
            )

        if self.channel_dim is not None and self.percentile < 100.0:
            raise ThresholdError(
                f"percentile={self.percentile} along channel_dim={self.channel_dim} asked for; percentiles are kept along the "
                "default axis only: take the maximum, or leave channel_dim out"
            )

    @property
    def sketches(self) -> Granularity | None:
        """The quantile sketches that the profile must keep."""
        return None if self.percentile == 100.0 else Granularity(self.granularity)

    def of(self, site: SiteProfile) -> tuple[Tensor, Tensor]:
        """Lower and upper bound in the shape that broadcasts at the site."""
        if self.percentile == 100.0:
            low = site.minimum(self.granularity, channel_dim=self.channel_dim)
            high = site.maximum(self.granularity, channel_dim=self.channel_dim)
        else:
            low = site.quantile(1.0 - self.percentile / 100.0, self.granularity)
            high = site.quantile(self.percentile / 100.0, self.granularity)
        slack = self.margin - 1.0
        return low - slack * low.abs(), high + slack * high.abs()


def install(
    model: nn.Module,
    train: Batches,
    scope: Scope,
    bounds: Bounds,
    make: Make,
    *,
    guard: Bounds | None,
) -> Receipt:
    """Profile, then put ``make(site, low, high)`` at every site, and a guard on the output if asked to.

    With a guard, the layer that gives the output is left to it.

    Raises:
        CalibrationError: A guard is asked for, but the output is not one tensor of logits.
    """
    first, batches = peek(train)
    example = to_device_of(model, model_inputs(first))
    found = calibrate(
        model,
        batches,
        where=scope.where,
        kinds=scope.kinds,
        quantiles=bounds.sketches,
        progress=scope.progress,
    )
    guards = output_guard(found, guard) if guard else None
    ranges = {name: bounds.of(site) for name, site in found.items()}
    receipt = replace_activations(
        model,
        lambda site: make(site, *ranges[site.name]),
        example=example,
        where=scope.where if guards is None else without_output(scope.where, found),
        kinds=scope.kinds,
    )
    return with_guard(receipt, model, guards)


def output_guard(profile: Profile, bounds: Bounds) -> OutputGuard:
    """A guard of the profiled range of the logits.

    Raises:
        CalibrationError: The output is not one tensor of logits.
    """
    output = profile.output
    if output is None or output.dims != 2:
        found = "no single tensor" if output is None else f"a tensor of {output.dims} dimensions"
        raise CalibrationError(
            f"output_guard=True asked for, but the model returns {found}; the guard needs logits of shape (N, classes)"
        )
    return OutputGuard(*bounds.of(output))


def with_guard(receipt: Receipt, model: nn.Module, guard: OutputGuard | None) -> Receipt:
    """The receipt with that of the guard, if there is one; where it cannot be put, what the receipt is of is undone."""
    if guard is None:
        return receipt
    try:
        return receipt.then(guard_output(model, guard))
    except BaseException:
        receipt.restore()
        raise


def without_output(where: Where | None, profile: Profile) -> Where | None:
    """What is picked, but the site whose values are those of the model's output.

    A faulty logit that a range restricts to a usual value may win the vote; one that the guard sees loses it.
    """
    *others, last = profile
    if not others or profile.output is None or not _same(profile[last], profile.output):
        return where
    kept = ~named(last)
    return kept if where is None else where & kept


def _same(one: SiteProfile, other: SiteProfile) -> bool:
    mine, theirs = one.moments, other.moments
    return one.shape == other.shape and all(
        torch.equal(a, b)
        for a, b in ((mine.largest, theirs.largest), (mine.smallest, theirs.smallest))
    )
