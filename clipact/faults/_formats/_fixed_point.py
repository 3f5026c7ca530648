"""Two's complement fixed point."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from clipact.errors import FaultError
from clipact.faults._formats._emulated import check_floating, codes_of, numbers_of, saturated
from clipact.faults._formats._format import Format
from clipact.faults._hits import Codes, Numbers
from clipact.faults._streams import is_integer


@final
@dataclass(frozen=True)
class FixedPoint(Format):
    r"""Two's complement fixed point :math:`Q_{m.f}`, :math:`m = \mathrm{bits} - f`, emulated on floating-point tensors.

    A word that is hit is rounded to the nearest multiple of :math:`2^{-f}` (ties to even), saturated to
    :math:`[-2^{m-1},\ 2^{m-1} - 2^{-f}]`, changed, and brought back to the tensor's dtype; all in float64. Words that
    are not hit stay as they are. Before the fault +inf becomes the largest value, -inf the smallest and NaN zero;
    after it every value is finite: where the dtype cannot hold one, it saturates. A dtype with fewer significant
    bits than the format rounds once more on the way back, which can hide a flip of a low bit.

    Args:
        bits: Bits of a word, 2 to 53 (what float64 holds exactly).
        fraction: How many of them are behind the point, at least 0 and fewer than ``bits``.

    Raises:
        FaultError: Either is not an integer or out of range.

    Examples:
        >>> q = FixedPoint(bits=32, fraction=16)
        >>> code = q.encode(torch.tensor([1.5]))
        >>> q.decode(code ^ np.uint64(1 << 31), torch.float32)
        tensor([-32766.5000])
    """

    bits: int = 32
    fraction: int = 16

    def __post_init__(self) -> None:
        if not (is_integer(self.bits) and is_integer(self.fraction)):
            raise FaultError(
                f"FixedPoint(bits={self.bits!r}, fraction={self.fraction!r}): give integers"
            )
        if not 2 <= self.bits <= 53:
            raise FaultError(f"FixedPoint(bits={self.bits}): a word has 2 to 53 bits")
        if not 0 <= self.fraction < self.bits:
            raise FaultError(
                f"FixedPoint(bits={self.bits}, fraction={self.fraction}): the fraction has 0 to {self.bits - 1} bits"
            )

    def width(self, dtype: torch.dtype) -> int:
        """``bits``, for floating-point tensors only, and not for the scales of ``float8_e8m0fnu``, which have no zero."""
        check_floating(self, dtype)
        return self.bits

    def encode(self, values: Tensor, scale: Numbers | None = None) -> Codes:
        """See :class:`Format`."""
        del scale
        top = 2.0 ** (self.bits - 1)
        limit = top / 2.0**self.fraction
        numbers = values.to(torch.float64).nan_to_num(nan=0.0, posinf=limit, neginf=-limit)
        scaled = numbers.clamp(-limit, limit).numpy() * 2.0**self.fraction
        return codes_of(np.clip(np.rint(scaled), -top, top - 1.0), self.bits)

    def decode(self, codes: Codes, dtype: torch.dtype, scale: Numbers | None = None) -> Tensor:
        """See :class:`Format`."""
        del scale
        return saturated(numbers_of(codes, self.bits) / 2.0**self.fraction, dtype)
