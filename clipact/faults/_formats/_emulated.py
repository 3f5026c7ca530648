"""What formats that are emulated on floating-point tensors share."""

import numpy as np
import torch
from torch import Tensor

from clipact.errors import FaultError
from clipact.faults._formats._format import Format
from clipact.faults._hits import Codes, Numbers


def check_floating(format: Format, dtype: torch.dtype) -> None:  # noqa: A002 - as in inject
    """Refuse a dtype that is not floating-point with a sign and a zero.

    Raises:
        FaultError: It is another one.
    """
    if not dtype.is_floating_point or dtype is torch.float8_e8m0fnu:
        raise FaultError(
            f"{format} is emulated on floating-point tensors with a sign, not on {dtype}; leave that tensor out with where=,"
            " or use Native()"
        )


def codes_of(numbers: Numbers, bits: int) -> Codes:
    """Two's complement of whole numbers."""
    return numbers.astype(np.int64).view(np.uint64) & np.uint64(2**bits - 1)


def numbers_of(codes: Codes, bits: int) -> Numbers:
    """The whole numbers of two's complement."""
    signed = codes.view(np.int64)
    return np.where(signed >= 2 ** (bits - 1), signed - 2**bits, signed).astype(np.float64)


def saturated(values: Numbers, dtype: torch.dtype) -> Tensor:
    """Values in a floating-point dtype, those out of its range as its largest."""
    limit = torch.finfo(dtype).max
    return torch.from_numpy(np.clip(values, -limit, limit)).to(dtype)
