"""How many samples a forward has."""

from dataclasses import dataclass
from typing import Any, final

from torch.nn.utils.rnn import PackedSequence

from clipact.faults._values._leaves import leaves


@final
@dataclass(frozen=True)
class Batch:
    """The first tensor with dimensions that a forward was given.

    Attributes:
        shape: Its shape; empty if there is none.
        sequences: Number of sequences, if it is a packed sequence.
    """

    shape: tuple[int, ...]
    sequences: int | None = None

    @staticmethod
    def of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Batch":
        """That of these arguments."""
        for value in (*args, *kwargs.values()):
            if isinstance(value, PackedSequence):
                return Batch(tuple(value.data.shape), int(value.batch_sizes[0]))
            for leaf in leaves(value):
                if leaf.tensor.dim():
                    return Batch(tuple(leaf.tensor.shape))
        return Batch(())

    def samples(self, axis: int) -> int | None:
        """Number of samples, if they lie along this axis; None if there is no such axis."""
        if self.sequences is not None:
            return self.sequences
        return self.shape[axis] if axis < len(self.shape) else None
