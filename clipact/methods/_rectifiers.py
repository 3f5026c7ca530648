"""Which activations a clipped ReLU can stand for."""

from torch import nn

from clipact.nn import HyReLU, SaturatedReLU, ZeroedReLU
from clipact.surgery import Site

_RECTIFIERS = (nn.ReLU, nn.ReLU6, SaturatedReLU, ZeroedReLU, HyReLU)


def is_rectifier(site: Site) -> bool:
    """Whether the activation is ``max(x, 0)`` up to its profiled maximum, so that a clipped ReLU replaces it exactly."""
    return issubclass(site.kind, _RECTIFIERS)
