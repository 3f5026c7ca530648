"""The words that a fault model corrupts: their bits, and their values where it works on values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from clipact.faults._formats import Codec
from clipact.faults._hits import Codes, Indices, Numbers


@final
@dataclass(frozen=True, eq=False)
class Words:
    """Words of one dtype that are hit, of one tensor or of several; every array is of shape ``(words,)``.

    Attributes:
        codes: Their bits in the number format.
        mask: A one at every bit that is hit.
        payload: What the fault model drew for each besides; None where it drew nothing.
        codecs: The number format for each of the tensors.
        owner: Of each word, the place of its tensor in ``codecs``.
        scale: Of each word, what a bit is worth in its tensor; None if always the same.
    """

    codes: Codes
    mask: Codes
    payload: Numbers | None
    codecs: Sequence[Codec]
    owner: Indices
    scale: Numbers | None

    def values(self) -> Numbers:
        """The values, in float64 (of ``int64`` words the nearest)."""
        codec = self.codecs[0]
        values = codec.format.decode(self.codes, codec.dtype, self.scale)
        return values.to(torch.float64).numpy()

    def encode(self, values: Numbers) -> Codes:
        """The bits of other values, after a cast to the dtype.

        Integers are rounded (ties to even) and saturate, NaN is 0 there; a float out of range is what torch's cast
        gives, in most formats ±inf.
        """
        codec = self.codecs[0]
        return codec.format.encode(_cast(values, codec.dtype), self.scale)

    def spread(self) -> Numbers:
        """Of each word, the standard deviation of its tensor's finite fault-free values."""
        return np.array([codec.spread for codec in self.codecs])[self.owner]


def _cast(values: Numbers, dtype: torch.dtype) -> torch.Tensor:
    if dtype.is_floating_point:
        return torch.from_numpy(values).to(dtype)
    if dtype is torch.bool:
        low, high = 0.0, 1.0
    else:
        limits = torch.iinfo(dtype)
        low, high = float(limits.min), float(limits.max)
    rounded = np.nan_to_num(np.rint(values), nan=0.0, posinf=high, neginf=low)
    return _integers(np.clip(rounded, low, high), dtype)


def _integers(values: Numbers, dtype: torch.dtype) -> torch.Tensor:
    """Whole numbers in the range of the dtype; 2**63 and 2**64, the floats nearest to the largest integers, saturate."""
    if dtype is torch.bool or torch.iinfo(dtype).max < 2**53:
        return torch.from_numpy(values).to(dtype)
    top = torch.iinfo(dtype).max
    whole = [min(int(value), top) for value in values.tolist()]
    return torch.tensor(whole, dtype=dtype)
