"""What a number format is, alone and bound to a tensor."""

from abc import ABC, abstractmethod
from functools import cached_property
from math import prod
from typing import final

import numpy as np
import torch
from torch import Tensor

from clipact.faults._hits import Codes, Indices, Numbers


class Format(ABC):
    """How the value of a word is written in bits. Subclasses are frozen dataclasses; all methods are pure functions."""

    @abstractmethod
    def width(self, dtype: torch.dtype) -> int:
        """Number of bits of a word.

        Raises:
            FaultError: Values of this dtype cannot be written in this format.
        """

    @abstractmethod
    def encode(self, values: Tensor, scale: Numbers | None = None) -> Codes:
        """The bit patterns of a flat tensor of values on the CPU; ``scale`` is what :meth:`scales` gave, for each value."""

    @abstractmethod
    def decode(self, codes: Codes, dtype: torch.dtype, scale: Numbers | None = None) -> Tensor:
        """The values of bit patterns, as a tensor of ``dtype`` on the CPU."""

    def scales(self, tensor: Tensor) -> "Tensor | None":
        """What a bit is worth in this tensor, in float64, of a shape that broadcasts to it; None if always the same."""
        del tensor
        return None

    def bind(self, tensor: Tensor) -> "Codec":
        """The format for the words of one tensor, whose values are the fault-free ones now.

        Raises:
            FaultError: As :meth:`width`.
        """
        return Codec(self, tensor)


@final
class Codec:
    """A number format for the words of one tensor, with what is computed once from the tensor's fault-free values.

    Attributes:
        format: The number format.
        dtype: Of the tensor.
        width: Bits of a word.
    """

    def __init__(self, format: Format, tensor: Tensor) -> None:  # noqa: A002 - as in inject
        self.format, self.dtype = format, tensor.dtype
        self.width = format.width(tensor.dtype)
        self._tensor = tensor.detach()
        self._scales = format.scales(self._tensor)

    def scale(self, index: Indices) -> Numbers | None:
        """Of each word with these flat indices, what a bit is worth; None if always the same."""
        scales = self._known
        if scales is None:
            return None
        if scales.size == 1:
            return np.full(index.size, scales.item())
        shape = tuple(self._tensor.shape)
        axis = next(place for place, size in enumerate(scales.shape) if size > 1)
        return scales.reshape(-1)[index // prod(shape[axis + 1 :]) % shape[axis]]

    @cached_property
    def _known(self) -> Numbers | None:
        """The scales on the CPU: asked for only where a word is hit."""
        return None if self._scales is None else self._scales.cpu().numpy()

    @cached_property
    def spread(self) -> float:
        """Standard deviation of the tensor's finite fault-free values; 0 where there are none."""
        values = self._tensor.to(torch.float64)
        finite = values[values.isfinite()]
        return float(finite.std(correction=0)) if finite.numel() else 0.0
