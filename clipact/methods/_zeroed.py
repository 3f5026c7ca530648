"""What stands at a site that falls to zero out of its range."""

from torch import Tensor, nn

from clipact.nn import RangeRestricted, ZeroedReLU
from clipact.surgery import Site


def zeroed(site: Site, low: Tensor, high: Tensor) -> nn.Module:
    """A zeroed ReLU where a ReLU was; elsewhere the activation with its output restricted."""
    if site.kind is nn.ReLU:
        return ZeroedReLU(high)
    return RangeRestricted(site.activation, low, high, zero=True)
