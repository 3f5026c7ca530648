"""Fault models: how many words and bits are hit, where, and what a word becomes."""

from clipact.faults._models._bit_flip import BitFlip
from clipact.faults._models._burst import Burst
from clipact.faults._models._lines import Extent
from clipact.faults._models._model import (
    Combination,
    FaultModel,
    Mechanism,
    draw_parts,
    number_of_faults,
)
from clipact.faults._models._noise import Noise
from clipact.faults._models._random_value import RandomValue
from clipact.faults._models._stuck_at import StuckAt
from clipact.faults._models._zero import Zero

__all__ = [
    "BitFlip",
    "Burst",
    "Combination",
    "Extent",
    "FaultModel",
    "Mechanism",
    "Noise",
    "RandomValue",
    "StuckAt",
    "Zero",
    "draw_parts",
    "number_of_faults",
]
