"""What stands at a site: zero or saturated out of its range."""

from torch import Tensor, nn

from clipact.nn import RangeRestricted, SaturatedReLU, ZeroedReLU
from clipact.surgery import Site


def zeroed(site: Site, low: Tensor, high: Tensor) -> nn.Module:
    """A zeroed ReLU where a ReLU was; elsewhere the activation with its output restricted."""
    if site.kind is nn.ReLU:
        return ZeroedReLU(high)
    return RangeRestricted(site.activation, low, high, zero=True)


def saturated(site: Site, low: Tensor, high: Tensor) -> nn.Module:
    """The same, but holding the bound; NaN becomes 0."""
    if site.kind is nn.ReLU:
        return SaturatedReLU(high, nan_to_zero=True)
    return RangeRestricted(site.activation, low, high, nan_to_zero=True)
