"""A mended site whose range and fill can be set anew."""

import math
from typing import NamedTuple, final

import torch

from clipact.calibration import Granularity, SiteProfile
from clipact.nn import Mended


class Setting(NamedTuple):
    """What stands at a site.

    Attributes:
        scale: Factor on the profiled range; infinite for a site that restricts nothing but NaN.
        mean: Fall to the healthy mean; else to 0.
    """

    scale: float
    mean: bool


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
        self._low, self._high = module.low.detach().clone(), module.high.detach().clone()
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
                module.low.copy_(self._low * setting.scale)
                module.high.copy_(self._high * setting.scale)
            module.fill.copy_(self._mean if setting.mean else torch.zeros_like(self._mean))
