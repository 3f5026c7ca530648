"""A mended site whose range and fill can be set anew."""

import math
from typing import NamedTuple, final

import torch
from torch import nn

from clipact.calibration import Granularity, SiteProfile
from clipact.methods._bounds import Bounds
from clipact.nn import Mended


class Setting(NamedTuple):
    """What stands at a site.

    Attributes:
        scale: Factor on the range; infinite for a site that restricts nothing but NaN.
        mean: Fall to the healthy mean; else to 0.
        percentile: Of the profile, of which the range is.
    """

    scale: float
    mean: bool
    percentile: float = 100.0


@final
class TunedSite:
    """One site, with the range and mean of its profile at hand.

    Args:
        name: Of the site.
        module: What stands there.
        profile: Of the site.
        granularity: Of range and fill.
    """

    def __init__(
        self, name: str, module: Mended, profile: SiteProfile, granularity: Granularity
    ) -> None:
        self.name, self.setting = name, Setting(1.0, mean=False)
        self._module = module
        self._rectified = isinstance(module.activation, nn.ReLU)
        self._profile, self._granularity = profile, granularity
        self._mean = profile.mean(granularity)

    def set(self, setting: Setting) -> None:
        """Put range and fill."""
        self.setting = setting
        module = self._module
        with torch.no_grad():
            if math.isinf(setting.scale):
                module.low.fill_(-math.inf)
                module.high.fill_(math.inf)
            else:
                low, high = Bounds(self._granularity, setting.percentile, 1.0).of(self._profile)
                module.low.copy_(
                    torch.zeros_like(module.low) if self._rectified else low * setting.scale
                )
                module.high.copy_(high * setting.scale)
            module.fill.copy_(self._mean if setting.mean else torch.zeros_like(self._mean))
