"""The tensors of a target in a number format, with all that does not change from trial to trial."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torch import Tensor

from clipact.faults._formats import Codec, Format
from clipact.faults._hits import BitSpace
from clipact.faults._memory._storage import storage_words
from clipact.faults._memory._tensors import TargetTensor, unwrapped


@final
@dataclass(frozen=True, eq=False)
class Bound:
    """Tensors bound to a number format; every tuple has one entry a tensor.

    Attributes:
        tensors: The tensors.
        spaces: Their bits, under the names they have without wrappers.
        codecs: The number format for each.
        words: Their words in storage, as integers.
    """

    tensors: tuple[TargetTensor, ...]
    spaces: tuple[BitSpace, ...]
    codecs: tuple[Codec, ...]
    words: tuple[Tensor, ...]

    @property
    def bits(self) -> int:
        """Number of bits of all tensors."""
        return sum(space.bits for space in self.spaces)

    def at(self, places: Sequence[int]) -> "Bound":
        """Some of the tensors."""
        columns = (self.tensors, self.spaces, self.codecs, self.words)
        return Bound(*(tuple(column[place] for place in places) for column in columns))  # pyright: ignore[reportArgumentType] - as many columns as fields


def bind(tensors: Sequence[TargetTensor], format: Format) -> Bound:  # noqa: A002 - as in inject
    """Bind tensors, which hold their fault-free values now, to a number format. Nothing is copied.

    Raises:
        FaultError: A tensor's values cannot be written in the format.
    """
    codecs = tuple(format.bind(item.tensor) for item in tensors)
    spaces = tuple(
        BitSpace(unwrapped(item.name), tuple(item.tensor.shape), codec.width)
        for item, codec in zip(tensors, codecs, strict=True)
    )
    words = tuple(storage_words(item.tensor) for item in tensors)
    return Bound(tuple(tensors), spaces, codecs, words)
