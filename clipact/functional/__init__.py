"""Clipped and sparsifying activations as pure functions of tensors.

A threshold is a number or a tensor whose shape is its granularity: ``(1,)`` for a layer, ``(C, 1, 1)`` a channel,
``(C, H, W)`` or ``(F,)`` a neuron. It broadcasts to the input without enlarging it. Infinities and NaN are specified for
every function, because a flipped exponent bit produces them.
"""

from clipact.functional._crelu import crelu, cst
from clipact.functional._hoyer import hoyer_extremum, hoyer_ratio
from clipact.functional._hoyer_spike import hoyer_spike
from clipact.functional._hyrelu import hyrelu
from clipact.functional._k_winners import k_winners
from clipact.functional._mended import mended
from clipact.functional._output_guard import output_guard
from clipact.functional._range_restricted import range_restricted
from clipact.functional._relative_hyrelu import relative_hyrelu
from clipact.functional._saturated_relu import saturated_relu
from clipact.functional._shifted_relu import shifted_relu, soft_threshold
from clipact.functional._statistical_threshold import statistical_threshold
from clipact.functional._zeroed_relu import zeroed_relu

__all__ = [
    "crelu",
    "cst",
    "hoyer_extremum",
    "hoyer_ratio",
    "hoyer_spike",
    "hyrelu",
    "k_winners",
    "mended",
    "output_guard",
    "range_restricted",
    "relative_hyrelu",
    "saturated_relu",
    "shifted_relu",
    "soft_threshold",
    "statistical_threshold",
    "zeroed_relu",
]
