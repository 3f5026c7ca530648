"""The faults that trials kept, as columns."""

from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
import numpy.typing as npt

from clipact.faults._records._record import Fault

Integers: TypeAlias = npt.NDArray[np.int64]
Numbers: TypeAlias = npt.NDArray[np.float64]


@final
@dataclass(frozen=True, eq=False)
class KeptFaults:
    """Faults by row of their trial, shape ``(faults,)`` each.

    Attributes:
        row: Place of the trial in the result, rising.
        tensor: Place of the tensor's name in ``texts``.
        index: Flat indices.
        bit: Bit positions; -1 for a whole word.
        kind: Place in ``texts`` of what happened.
        before: Values before.
        after: Values after.
        texts: Names and kinds, each once.
    """

    row: Integers
    tensor: Integers
    index: Integers
    bit: Integers
    kind: Integers
    before: Numbers
    after: Numbers
    texts: npt.NDArray[np.object_]

    def __len__(self) -> int:
        return self.row.size

    def named(self) -> Mapping[str, npt.NDArray[Any]]:
        """``row``, ``tensor``, ``index``, ``bit``, ``kind``, ``before``, ``after``, with names and kinds as text."""
        return {
            "row": self.row,
            "tensor": self.texts[self.tensor],
            "index": self.index,
            "bit": self.bit,
            "kind": self.texts[self.kind],
            "before": self.before,
            "after": self.after,
        }

    def of_rows(self, start: int, stop: int) -> dict[int, list[Fault]]:
        """The faults of the rows from ``start`` to before ``stop``; a row without any is left out."""
        low, high = (int(end) for end in np.searchsorted(self.row, [start, stop]))
        found: dict[int, list[Fault]] = {}
        if low == high:
            return found
        part = slice(low, high)
        names, kinds = self.texts[self.tensor[part]], self.texts[self.kind[part]]
        every = (self.row[part], names, self.index[part], self.bit[part], kinds, self.before[part])
        columns = [column.tolist() for column in (*every, self.after[part])]
        for row, *fault in zip(*columns, strict=True):
            found.setdefault(row, []).append(Fault(*fault))
        return found


@final
class Keeping:
    """Gathers faults under the key of their trial: place of the fault model, trial number."""

    def __init__(self) -> None:
        self._integers = tuple(array("q") for _ in range(6))
        self._numbers = (array("d"), array("d"))
        self._texts: dict[str, int] = {}

    def add(self, place: int, trial: int, faults: Iterable[Fault]) -> None:
        """Note the faults of a trial."""
        for fault in faults:
            tensor, kind = self._text(fault.tensor), self._text(fault.kind)
            values = (place, trial, tensor, fault.index, fault.bit, kind)
            for column, value in zip(self._integers, values, strict=True):
                column.append(value)
            self._numbers[0].append(fault.before)
            self._numbers[1].append(fault.after)

    def kept(self, rows: Callable[[Integers, Integers], Integers]) -> KeptFaults:
        """All that were gathered.

        Args:
            rows: Gives the rows of places of fault models and trial numbers.
        """
        place, trial, *rest = (np.asarray(column, np.int64) for column in self._integers)
        before, after = (np.asarray(column, np.float64) for column in self._numbers)
        texts = np.array([*self._texts], dtype=object)
        return kept_faults(rows(place, trial), (*rest, before, after), texts)

    def _text(self, text: str) -> int:
        return self._texts.setdefault(text, len(self._texts))


def kept_faults(
    row: Integers, columns: Iterable[npt.NDArray[Any]], texts: npt.NDArray[np.object_]
) -> KeptFaults:
    """Faults in the order of their rows; of the faults of one row, the order stays.

    Args:
        row: Row of each fault.
        columns: ``tensor``, ``index``, ``bit``, ``kind``, ``before``, ``after``.
        texts: What ``tensor`` and ``kind`` count in.
    """
    order = np.argsort(row, kind="stable")
    tensor, index, bit, kind, before, after = (column[order] for column in columns)
    return KeptFaults(
        row[order], tensor, index, bit, kind, _one_nan(before), _one_nan(after), texts
    )


def _one_nan(values: Numbers) -> Numbers:
    """NaN has many bit patterns; which one comes out of an operation says nothing."""
    values[np.isnan(values)] = np.nan
    return values
