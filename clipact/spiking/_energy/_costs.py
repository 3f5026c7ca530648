"""What an operation costs."""

from dataclasses import dataclass
from typing import Final, final

from clipact.errors import SpikingError

__all__ = ["FP16", "FP32", "INT8", "EnergyCosts"]


@final
@dataclass(frozen=True)
class EnergyCosts:
    """Energy of operations of one number format, in picojoules.

    Attributes:
        name: Number format and technology.
        mac: A multiplication and an addition.
        ac: An addition alone.
        bits: Of one value in memory.
        byte: A byte moved to or from memory.

    Raises:
        SpikingError: A cost is negative or not finite, or a value has no bits.
    """

    name: str
    mac: float
    ac: float
    bits: int
    byte: float = 24.96

    def __post_init__(self) -> None:
        for what in ("mac", "ac", "byte"):
            cost = getattr(self, what)
            if not 0.0 <= cost < float("inf"):
                raise SpikingError(f"{what}={cost} pJ asked for; a cost is a number of at least 0")
        if self.bits < 1:
            raise SpikingError(f"bits={self.bits} asked for; a value has at least one bit")


FP32: Final = EnergyCosts("fp32, 45 nm", mac=4.6, ac=0.9, bits=32)
"""Single precision at 45 nm."""

FP16: Final = EnergyCosts("fp16, 45 nm", mac=1.5, ac=0.4, bits=16)
"""Half precision at 45 nm."""

INT8: Final = EnergyCosts("int8, 45 nm", mac=0.23, ac=0.03, bits=8)
"""8-bit integers at 45 nm."""
