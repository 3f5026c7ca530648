"""Clip to mean: what leaves its profiled range becomes what is usual there."""

from dataclasses import dataclass
from typing import final

from torch import nn

from clipact.calibration import Batches, Granularity, SiteProfile
from clipact.methods._base import Method, Scope
from clipact.methods._bounds import Bounds
from clipact.methods._checked import check_fields
from clipact.methods._search._installed import install_sites
from clipact.nn import Mended
from clipact.surgery import Receipt, Site


@final
@dataclass(frozen=True)
class ClipToMean(Method):
    """Replace what leaves its profiled range by the mean of the healthy activations; NaN too.

    A fault in a weight usually spoils one channel, at every place where its input is not 0. Falling to 0 takes that
    channel's whole contribution away from the layer behind it; falling to the mean leaves the usual one. Do not count on
    a gain: in the tables of the guide's comparison (docs/guide/compare.md) convolutional networks do as well with
    :class:`ClipToZero` of the same ranges and guard at low bit error rates, and better at the highest, where most channels
    are faulty. :class:`FaultTuned` finds out which suits, site by site.

    Attributes:
        granularity: One range and mean a ``"layer"``, ``"channel"`` or ``"neuron"``: 2 numbers each, 3 where the activation
            goes below zero.
        percentile: Range at this percentile of the profiled activations instead of their extremes (100).
        margin: Factor on the range; above 1 leaves room for data the calibration did not show.
        output_guard: Also map a logit outside its profiled range to its class minimum.
        guard_margin: Factor on that range.

    Examples:
        >>> import torch, clipact as ca
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> receipt = ca.protect(model, ca.methods.ClipToMean(), torch.randn(32, 4), progress=False)
        >>> model[1].high.shape, model[1].fill.shape, model.output_guard
        (torch.Size([8]), torch.Size([8]), OutputGuard(low=(2,), high=(2,)))
    """

    granularity: Granularity | str = Granularity.CHANNEL
    percentile: float = 100.0
    margin: float = 1.0
    output_guard: bool = True
    guard_margin: float = 1.25

    def __post_init__(self) -> None:
        check_fields(self)
        self._bounds()
        self._guard()

    def apply(
        self, model: nn.Module, train: Batches, validate: Batches | None, scope: Scope
    ) -> Receipt:
        """Profile and replace; held-out data is not needed and not used."""
        del validate
        bounds = self._bounds()

        def make(site: Site, profile: SiteProfile) -> nn.Module:
            return mended(site, profile, bounds)

        guard = self._guard() if self.output_guard else None
        return install_sites(
            model, train, scope, make, sketches=bounds.sketches, guard=guard
        ).receipt

    def _bounds(self) -> Bounds:
        return Bounds(self.granularity, self.percentile, self.margin)

    def _guard(self) -> Bounds:
        return Bounds(Granularity.NEURON, 100.0, self.guard_margin)


def mended(site: Site, profile: SiteProfile, bounds: Bounds) -> Mended:
    """What stands at a site: a ReLU is bounded below by 0 by itself."""
    low, high = bounds.of(profile)
    if site.kind is nn.ReLU:
        low = low.new_zeros(1)
    return Mended(site.activation, low, high, profile.mean(bounds.granularity))
