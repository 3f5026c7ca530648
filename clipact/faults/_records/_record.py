"""The faults of one injection, as a table."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from clipact._frame import data_frame
from clipact._text import aligned
from clipact.faults._hits import Codes, Indices, Numbers
from clipact.faults._records._fault_file import Line, write

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
        bit: Position in the word, 0 the least significant; -1 if the fault is one of the whole word.
        kind: What happened to the bit or word.
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
    """Every fault of an injection, by tensor, index and bit: iterate, ``len()``, ``print``, :meth:`to_pandas`, :meth:`save`.

    Attributes:
        kinds: Of each part of the fault model, what happened to the bits or words.
        names: Names of the tensors that were hit.
        widths: Bits a word has in each of these.
        tensor: Place in ``names``, shape ``(faults,)`` as all that follow.
        index: Flat indices.
        part: Place in ``kinds``.
        bit: Bit positions; -1 for a whole word.
        before: Values before, as float64 (of ``int64`` tensors the nearest).
        after: Values after.
        code: The word's bits in the number format after this part of the fault model; 0, with values that are NaN, of
            faults in values that had not come by.
    """

    kinds: tuple[str, ...]
    names: tuple[str, ...]
    widths: tuple[int, ...]
    tensor: Indices
    index: Indices
    part: Indices
    bit: Indices
    before: Numbers
    after: Numbers
    code: Codes

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Fault]:
        columns = (self.tensor, self.index, self.part, self.bit, self.before, self.after)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for place, index, part, bit, before, after in rows:
            yield Fault(self.names[place], index, bit, self.kinds[part], before, after)

    def lines(self) -> Iterator[Line]:
        """The faults with all that is needed to inject them again."""
        columns = (self.tensor, self.index, self.part, self.bit, self.before, self.after, self.code)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for at, index, part, bit, before, after, code in rows:
            name, width, kind = self.names[at], self.widths[at], self.kinds[part]
            yield Line(name, width, index, part, kind, bit, before, after, code)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the faults as CSV, which :func:`load` reads and :class:`Listed` injects again.

        One row a fault, under ``tensor, width, index, part, kind, bit, before, after, code``: width in bits and code in
        hexadecimal; bit -1 is the whole word. Values are exact.

        Args:
            path: The file; one that is there is replaced.
        """
        write(path, self.lines())

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
                "kind": np.array(self.kinds, dtype=object)[self.part],
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
