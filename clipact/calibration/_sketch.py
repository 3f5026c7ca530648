r"""Quantiles of a stream in constant memory, with a bounded relative error.

A value falls into the bucket named by its sign, its binary exponent and its first five mantissa bits, which is what the
upper bits of its float32 representation spell: no logarithm is computed. A bucket :math:`[a, a(1 + 2^{-5}))` answers
with its middle, so that a quantile :math:`v` is off by at most :math:`2^{-6} |v|` (1.6 %) for
:math:`2^{-16} \le |v| < 2^{16}`; smaller values count as 0, larger ones fall into the last bucket.
Sketches of parts add up to the sketch of the whole.
"""

from typing import final

import torch
from torch import Tensor

MANTISSA_BITS = 5
LOWEST_EXPONENT = -16
HIGHEST_EXPONENT = 16
RELATIVE_ERROR = 2.0 ** -(MANTISSA_BITS + 1)

_SHIFT = 23 - MANTISSA_BITS
_SMALLEST = (127 + LOWEST_EXPONENT) << MANTISSA_BITS
_HALF = (HIGHEST_EXPONENT - LOWEST_EXPONENT) << MANTISSA_BITS  # buckets of one sign
BUCKETS = 2 * _HALF + 1


@final
class QuantileSketch:
    """Counts by bucket, one row a threshold.

    Args:
        counts: Counts of shape ``(rows, BUCKETS)``, int64.
    """

    def __init__(self, counts: Tensor) -> None:
        self.counts = counts

    @classmethod
    def empty(cls, rows: int, device: torch.device) -> "QuantileSketch":
        """A sketch of no values, one row for each of ``rows`` thresholds."""
        return cls(torch.zeros(rows, BUCKETS, dtype=torch.int64, device=device))

    def add(self, values: Tensor) -> None:
        """Count values of shape ``(rows, n)``."""
        rows = values.shape[0]
        keys = _bucket(values)
        if rows > 1:
            keys = keys + torch.arange(rows, device=values.device).unsqueeze(1) * BUCKETS
        keys = keys.reshape(-1)
        self.counts += torch.bincount(keys, minlength=rows * BUCKETS).view(rows, BUCKETS)

    def quantile(self, q: float) -> Tensor:
        """The ``q``-quantile (0 to 1) of each row, shape ``(rows,)``; each row must have values."""
        cumulative = self.counts.cumsum(1)
        rank = (q * (cumulative[:, -1:] - 1)).floor().to(torch.int64) + 1
        return _value(torch.searchsorted(cumulative, rank).squeeze(1))


def _bucket(values: Tensor) -> Tensor:
    """Bucket of each value: 0 for the most negative, ``_HALF`` for zero."""
    bits = values.to(torch.float32).contiguous().view(torch.int32)
    size = (bits & 0x7FFFFFFF).bitwise_right_shift_(_SHIFT).sub_(_SMALLEST - 1).clamp_(0, _HALF)
    return size.mul_((bits >> 31).mul_(2).add_(1)).add_(
        _HALF
    )  # bits >> 31 is -1 for negative values


def _value(bucket: Tensor) -> Tensor:
    """Middle of each bucket."""
    size = (bucket - _HALF).abs()
    middle = ((size + (_SMALLEST - 1)) << _SHIFT) + (1 << (_SHIFT - 1))
    value = middle.to(torch.int32).view(torch.float32)
    return torch.where(
        size == 0, torch.zeros_like(value), torch.where(bucket < _HALF, -value, value)
    )
