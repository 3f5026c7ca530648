"""Fault models: how many words and bits are hit, where, and what a word becomes."""

from clipact.faults._models._bit_flip import BitFlip
from clipact.faults._models._model import (
    Combination,
    FaultModel,
    Mechanism,
    draw_parts,
    number_of_faults,
)

__all__ = ["BitFlip", "Combination", "FaultModel", "Mechanism", "draw_parts", "number_of_faults"]
