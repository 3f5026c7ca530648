"""Places where values flow by: the output of a layer, an input of the model."""

from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from torch import Tensor

from clipact.faults._formats import Format
from clipact.faults._hits import BitSpace
from clipact.faults._memory._tensors import unwrapped
from clipact.faults._values._batch import Batch


class Source(NamedTuple):
    """Where a tensor comes from.

    Attributes:
        site: The site's name or the module's path; ``input`` for the model's arguments.
        number: How often the site was executed before in the same forward.
        path: Where the tensor is in the output.
        is_input: It is an argument of the model.
    """

    site: str
    number: int
    path: str
    is_input: bool

    def __str__(self) -> str:
        site = self.site or "output"
        return f"{site}{f'@{self.number + 1}' if self.number else ''}{self.path}"


@final
@dataclass(frozen=True)
class Place:
    """A tensor that comes by in each forward. Faults fall on the words of one sample of it.

    Attributes:
        name: What it is called in records.
        kind: Class of the module that gives it, ``nn.ReLU`` also for ``F.relu``; of an input the model's.
        shape: Of one sample, or of the whole; where sizes differ between forwards, the largest of each axis.
        dtype: The tensor's; of a quantised one that of its integers.
        source: Where it comes from.
        axis: Along which samples lie; None if it is a whole.
        is_stacked: A sample has several entries along that axis, so that its shape has the axis too.
    """

    name: str
    kind: type
    shape: tuple[int, ...]
    dtype: torch.dtype
    source: Source
    axis: int | None
    is_stacked: bool

    @property
    def is_sampled(self) -> bool:
        """Whether each sample has a part of its own in the tensor, so that faults can differ between samples."""
        return self.axis is not None

    def space(self, format: Format) -> BitSpace:  # noqa: A002 - as in inject
        """The bits of one sample in a number format."""
        return BitSpace(unwrapped(self.name), self.shape, format.width(self.dtype))

    def rows(self, batch: Batch) -> int:
        """Number of samples in a forward; 1 for a whole."""
        return 1 if self.axis is None else batch.samples(self.axis) or 0

    def sample(self, tensor: Tensor, rows: int, row: int) -> Tensor:
        """A view of one sample."""
        if self.axis is None:
            return tensor
        if not self.is_stacked:
            return tensor.select(self.axis, row)
        size = tensor.shape[self.axis] // rows
        return tensor.narrow(self.axis, row * size, size)
