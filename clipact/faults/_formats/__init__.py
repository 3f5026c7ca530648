"""Number formats: which bits stand for a value."""

from clipact.faults._formats._fixed_point import FixedPoint
from clipact.faults._formats._format import Codec, Format
from clipact.faults._formats._int8 import Int8
from clipact.faults._formats._native import NATIVE, Native

__all__ = ["NATIVE", "Codec", "FixedPoint", "Format", "Int8", "Native"]
