"""Clipped and sparsifying activations as modules that own their thresholds."""

from clipact.nn._base import Activation
from clipact.nn._crelu import CST, CReLU
from clipact.nn._hoyer_leaky import HoyerLeaky
from clipact.nn._hoyer_spike import HoyerSpike
from clipact.nn._hyrelu import HyReLU
from clipact.nn._k_winners import KWinners, KWinners2d
from clipact.nn._mended import Mended
from clipact.nn._range_restricted import OutputGuard, RangeRestricted
from clipact.nn._relative_hyrelu import RelativeHyReLU
from clipact.nn._saturated_relu import SaturatedReLU
from clipact.nn._shifted_relu import ShiftedReLU, SoftThreshold
from clipact.nn._statistical_threshold import StatisticalThreshold
from clipact.nn._zeroed_relu import ZeroedReLU

__all__ = [
    "CST",
    "Activation",
    "CReLU",
    "HoyerLeaky",
    "HoyerSpike",
    "HyReLU",
    "KWinners",
    "KWinners2d",
    "Mended",
    "OutputGuard",
    "RangeRestricted",
    "RelativeHyReLU",
    "SaturatedReLU",
    "ShiftedReLU",
    "SoftThreshold",
    "StatisticalThreshold",
    "ZeroedReLU",
]
