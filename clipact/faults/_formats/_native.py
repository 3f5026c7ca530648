"""The bits as they are in memory."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from clipact.faults._formats._format import Format
from clipact.faults._hits import Codes, Numbers

_SIGNED = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


@final
@dataclass(frozen=True)
class Native(Format):
    """The bits as they are in memory: IEEE 754 and bfloat16, float8, two's complement integers.

    A ``bool`` has one bit. NaN payloads and the signs of zeros are kept.

    Examples:
        >>> Native().width(torch.bfloat16)
        16
    """

    def width(self, dtype: torch.dtype) -> int:
        """8 times the item size; 1 for ``bool``."""
        return 1 if dtype is torch.bool else 8 * dtype.itemsize

    def encode(self, values: Tensor, scale: Numbers | None = None) -> Codes:
        """See :class:`Format`."""
        del scale
        size = values.element_size()
        return values.view(_SIGNED[size]).numpy().view(_UNSIGNED[size]).astype(np.uint64)

    def decode(self, codes: Codes, dtype: torch.dtype, scale: Numbers | None = None) -> Tensor:
        """See :class:`Format`."""
        del scale
        words = codes.astype(_UNSIGNED[dtype.itemsize]).view(f"i{dtype.itemsize}")
        return torch.from_numpy(words).view(dtype)


NATIVE = Native()
