"""The faults of one injection, as a table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import numpy.typing as npt

from clipact._text import aligned
from clipact.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 20


@final
@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        tensor: Dotted name of the tensor.
        index: Flat index of the word, in logical (row-major) order whatever the tensor's strides.
        bit: Position in the word, 0 the least significant.
        kind: What happened to the bit.
        before: The word's value before.
        after: The word's value with all its faults; the same for each fault of one word.
    """

    tensor: str
    index: int
    bit: int
    kind: str
    before: float
    after: float


@final
@dataclass(frozen=True, eq=False)
class FaultRecord:
    """Every fault of an injection, by tensor, index and bit: iterate, ``len()``, ``print`` or :meth:`to_pandas`.

    Attributes:
        kind: What happened to the bits.
        names: Names of the tensors that were hit.
        tensor: Place in ``names``, shape ``(faults,)`` as all that follow.
        index: Flat indices.
        bit: Bit positions.
        before: Values before, as float64 (of ``int64`` tensors the nearest).
        after: Values after.
    """

    kind: str
    names: tuple[str, ...]
    tensor: npt.NDArray[np.int64]
    index: npt.NDArray[np.int64]
    bit: npt.NDArray[np.int64]
    before: npt.NDArray[np.float64]
    after: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Fault]:
        columns = (self.tensor, self.index, self.bit, self.before, self.after)
        for place, index, bit, before, after in zip(*(c.tolist() for c in columns), strict=True):
            yield Fault(self.names[place], index, bit, self.kind, before, after)

    def to_pandas(self) -> "pd.DataFrame":
        """A data frame with one row a fault.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        names = np.array(self.names, dtype=object)
        return data_frame(
            {
                "tensor": names[self.tensor],
                "index": self.index,
                "bit": self.bit,
                "kind": self.kind,
                "before": self.before,
                "after": self.after,
            }
        )

    def __str__(self) -> str:
        head = f"{len(self)} fault{'' if len(self) == 1 else 's'} in {len(self.names)} tensors"
        if not len(self):
            return head
        header = ["tensor", "index", "bit", "kind", "before", "after"]
        cells: list[list[str]] = []
        for fault, _ in zip(self, range(_SHOWN), strict=False):
            values = (f"{fault.before:.6g}", f"{fault.after:.6g}")
            cells.append([fault.tensor, str(fault.index), str(fault.bit), fault.kind, *values])
        rest = [f"… and {len(self) - _SHOWN} more"] if len(self) > _SHOWN else []
        return "\n".join([head, aligned(header, cells), *rest])


def join(kind: str, parts: Sequence[FaultRecord]) -> FaultRecord:
    """One record of several."""
    if len(parts) == 1:
        return parts[0]
    integers, numbers = np.empty(0, dtype=np.int64), np.empty(0)
    starts = np.cumsum([0, *(len(part.names) for part in parts)])
    places = [part.tensor + start for part, start in zip(parts, starts[:-1], strict=True)]
    return FaultRecord(
        kind=kind,
        names=tuple(name for part in parts for name in part.names),
        tensor=np.concatenate([integers, *places]),
        index=np.concatenate([integers, *(part.index for part in parts)]),
        bit=np.concatenate([integers, *(part.bit for part in parts)]),
        before=np.concatenate([numbers, *(part.before for part in parts)]),
        after=np.concatenate([numbers, *(part.after for part in parts)]),
    )


def data_frame(columns: dict[str, Any]) -> "pd.DataFrame":
    """A data frame of these columns.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas as pd  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        raise MissingExtraError("to_pandas() needs pandas: pip install 'clipact[pandas]'") from None
    return pd.DataFrame(columns)
