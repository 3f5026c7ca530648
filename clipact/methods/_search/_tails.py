"""Thresholds by how much of the profiled activations lies past them."""

from collections.abc import Mapping, Sequence
from typing import Final, final

import torch

from clipact.calibration import Granularity, Profile, SiteProfile
from clipact.methods._bounds import Bounds
from clipact.nn import Activation, OutputGuard
from clipact.surgery import Receipt

TAILS: Final[Sequence[float]] = (0.0, *(10.0 * 2.0 ** (-step / 2) for step in range(27, -1, -1)))
"""Shares in percent, from the maximum to a tenth of all values, in steps of the square root of 2."""


@final
class TailedSite:
    """The thresholds of one site at any percentile of its profile.

    Args:
        name: Of the site.
        module: What stands there.
        profile: Of the site, with sketches of the granularity.
        granularity: ``"layer"`` or ``"channel"``.
    """

    def __init__(
        self, name: str, module: Activation, profile: SiteProfile, granularity: Granularity
    ) -> None:
        self.name = name
        self.step = 0
        self._module, self._profile, self._granularity = module, profile, granularity

    @property
    def percentile(self) -> float:
        """Of the upper thresholds now."""
        return 100.0 - TAILS[self.step]

    def set(self, step: int) -> None:
        """Let the share of :data:`TAILS` at this step lie past the thresholds."""
        self.step = step
        low, high = Bounds(self._granularity, self.percentile, 1.0).of(self._profile)
        values: Mapping[str, torch.Tensor] = {"threshold": high, "low": low, "high": high}
        with torch.no_grad():
            for key in self._module.threshold_names:
                getattr(self._module, key).copy_(values[key])


def tailed_sites(receipt: Receipt, profile: Profile, granularity: Granularity) -> list[TailedSite]:
    """The protected sites in execution order, without the guard of the output."""
    return [
        TailedSite(site.name, module, profile[site.name], granularity)
        for site, module in receipt.changes
        if isinstance(module, Activation) and not isinstance(module, OutputGuard)
    ]
