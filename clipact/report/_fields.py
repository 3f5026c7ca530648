"""What the bits of a word mean."""

from typing import NamedTuple

import numpy as np

from clipact.faults import FixedPoint, Format
from clipact.report._columns import Numbers
from clipact.report._rates import Singles


class Field(NamedTuple):
    """Neighbouring bits with one meaning, from ``low`` to ``high``, both included."""

    name: str
    low: int
    high: int


_WIDTHS = (1, 8, 16, 32, 64)
_MANTISSA = {32: 23, 64: 52}
_ENOUGH = 12  # faults; that all are in the lower half of the word by chance: 1 in 4,000
_MANTISSA_HALF, _MANTISSA_BFLOAT = 10, 7


def word_width(highest_bit: int) -> int:
    """The smallest usual width of a word that has this bit.

    Examples:
        >>> word_width(30), word_width(0)
        (32, 1)
    """
    return next(width for width in _WIDTHS if highest_bit < width)


def fields(number_format: Format, singles: Singles) -> list[Field]:
    """The fields of fixed-point words, and of floats where all words are of one type that the values tell; else none."""
    if isinstance(number_format, FixedPoint):
        point, top = number_format.fraction, number_format.bits - 1
        parts = [
            Field("sign", top, top),
            Field("integer", point, top - 1),
            Field("fraction", 0, point - 1),
        ]
        return [part for part in parts if part.low <= part.high]
    width = word_width(int(singles.bit.max()))
    values = np.concatenate([singles.before, singles.after])
    values = values[np.isfinite(values)]
    whole = bool(np.all(values == np.rint(values)))
    mantissa = _MANTISSA.get(width, _half(values) if width == 16 else None)
    if whole or mantissa is None or _mixed(singles, width):
        return []
    top = width - 1
    parts = [("sign", top, top), ("exponent", mantissa, top - 1), ("mantissa", 0, mantissa - 1)]
    return [Field(*part) for part in parts]


def _mixed(singles: Singles, width: int) -> bool:
    """Whether a tensor with enough faults to tell has shorter words than others."""
    highest = np.zeros(len(singles.names), dtype=np.int64)
    np.maximum.at(highest, singles.tensor, singles.bit)
    faults = np.bincount(singles.tensor, minlength=highest.size)
    return any(word_width(int(bit)) < width for bit in highest[faults >= _ENOUGH])


def _half(values: Numbers) -> int | None:
    """Bits of the mantissa of a 16-bit float, if the values can be of one type only."""
    with np.errstate(over="ignore", under="ignore"):
        single = values.astype(np.float32)
        half = bool(np.all(single.astype(np.float16).astype(np.float32) == single))
    bfloat = not np.any(single.view(np.uint32) & np.uint32(0xFFFF))
    return None if half == bfloat else _MANTISSA_HALF if half else _MANTISSA_BFLOAT
