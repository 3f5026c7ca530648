"""A protected site whose thresholds are a share of what was profiled."""

from typing import final

import torch

from clipact.nn import Activation, OutputGuard
from clipact.surgery import Receipt


@final
class ScaledSite:
    """The thresholds of one site as ``scale`` times their values when this was made.

    Args:
        name: Of the site.
        module: What stands there.
    """

    def __init__(self, name: str, module: Activation) -> None:
        self.name = name
        self._thresholds = {key: getattr(module, key) for key in module.threshold_names}
        self._profiled = {key: value.detach().clone() for key, value in self._thresholds.items()}

    def set(self, scale: float) -> None:
        """Let every threshold be this share of the profiled one."""
        with torch.no_grad():
            for key, threshold in self._thresholds.items():
                threshold.copy_(self._profiled[key] * scale)

    def threshold(self, scale: float) -> float:
        """The largest upper threshold at this scale."""
        upper = self._profiled.get("threshold", self._profiled.get("high"))
        assert upper is not None
        return float(upper.max()) * scale

    @property
    def is_constant(self) -> bool:
        """Whether scaling changes nothing, since nothing but 0 was ever seen here."""
        return not any(bool(value.any()) for value in self._profiled.values())


def scaled_sites(receipt: Receipt) -> list[ScaledSite]:
    """The protected sites in execution order, without the guard of the output."""
    return [
        ScaledSite(site.name, module)
        for site, module in receipt.changes
        if isinstance(module, Activation) and not isinstance(module, OutputGuard)
    ]
