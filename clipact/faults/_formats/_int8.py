"""Symmetric eight-bit integers with a scale."""

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

_LARGEST = 127.0
_SMALLEST_SCALE = 2.0**-23


@final
@dataclass(frozen=True)
class Int8(Format):
    r"""Symmetric int8 quantisation, emulated on floating-point tensors: :math:`w \approx s q`, :math:`q` in two's complement.

    The scale is :math:`s = \max |w| / 127` over the finite fault-free values of the tensor, or of each channel; for
    activations, of each sample at the time (dynamic quantisation). A word that is hit is rounded to the nearest
    :math:`q` from -127 to 127 (ties to even), changed, and brought back to the tensor's dtype, all in float64, where
    it saturates if the dtype cannot hold it. A fault can make -128. Words that are not hit stay as they are. Before the fault
    NaN becomes 0 and ±inf becomes ±127. The scale is at least :math:`2^{-23}` (float32's epsilon, as in PyTorch's
    quantisation), so that faults in a tensor or channel of zeros stay below :math:`2^{-16}`.

    For tensors that *are* int8, use :class:`Native`.

    Args:
        axis: The axis whose indices are the channels, each with a scale: 0 for the output channels of weights, and for channels of
            activations, whose axes are those of one sample. None for one scale a tensor, which tensors of one
            dimension always have.

    Raises:
        FaultError: The axis is not an integer. When bound: the tensor has no such axis, or is not of floating point.

    Examples:
        >>> codec = Int8().bind(torch.tensor([0.5, -1.27]))
        >>> Int8().encode(torch.tensor([0.5]), codec.scale(np.array([0])))
        array([50], dtype=uint64)
    """

    axis: int | None = None

    def __post_init__(self) -> None:
        if self.axis is not None and not is_integer(self.axis):
            raise FaultError(f"Int8(axis={self.axis!r}): give the number of an axis, or None")

    def width(self, dtype: torch.dtype) -> int:
        """8, for floating-point tensors only."""
        check_floating(self, dtype)
        return 8

    def scales(self, tensor: Tensor) -> Tensor:
        """See :class:`Format`."""
        wide = tensor if tensor.dtype is torch.float64 else tensor.to(torch.float32)
        sizes = torch.where(wide.isfinite(), wide, 0.0).abs()
        along = self._channel_axis(tensor)
        if along is None:
            largest = sizes.amax()
        else:
            others = [axis for axis in range(tensor.dim()) if axis != along]
            largest = sizes.amax(others, keepdim=True)
        return (largest.to(torch.float64) / _LARGEST).clamp(min=_SMALLEST_SCALE)

    def encode(self, values: Tensor, scale: Numbers | None = None) -> Codes:
        """See :class:`Format`."""
        numbers = values.to(torch.float64).nan_to_num(nan=0.0).numpy()
        with np.errstate(over="ignore"):  # infinity on a small scale; saturates
            steps = numbers / _known(scale)
        return codes_of(np.clip(np.rint(steps), -_LARGEST, _LARGEST), 8)

    def decode(self, codes: Codes, dtype: torch.dtype, scale: Numbers | None = None) -> Tensor:
        """See :class:`Format`."""
        with np.errstate(over="ignore"):  # -128 of the largest float64 values; saturates
            values = numbers_of(codes, 8) * _known(scale)
        return saturated(values, dtype)

    def _channel_axis(self, tensor: Tensor) -> int | None:
        if self.axis is None or tensor.dim() < 2:
            return None
        if not -tensor.dim() <= self.axis < tensor.dim():
            raise FaultError(
                f"{self} asks for axis {self.axis} of a tensor of shape {tuple(tensor.shape)}; give one of its axes, or leave"
                " that tensor out with where="
            )
        return self.axis % tensor.dim()


def _known(scale: Numbers | None) -> Numbers:
    if scale is None:
        raise FaultError(
            "Int8 cannot tell what a bit is worth without a scale; bind it to a tensor"
        )
    return scale
