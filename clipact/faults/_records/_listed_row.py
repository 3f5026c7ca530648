"""The rows of a list of faults, and what their kinds mean."""

from collections.abc import Iterator, Sequence
from math import isnan
from typing import NamedTuple, cast

import numpy as np

from clipact.errors import FaultError
from clipact.faults._hits import Hits, merged
from clipact.faults._memory._tensors import unwrapped
from clipact.faults._records._fault_file import Line, fault_in
from clipact.faults._records._record import FaultRecord

_INVERTED = frozenset({"flip", "burst"})
_STUCK = {"stuck-at-0": 0, "stuck-at-1": 1}


class Key(NamedTuple):
    """Rows of one key are applied together, those of lower ones first.

    Attributes:
        part: Which part of the fault model.
        kind: What happened.
        whole: To whole words.
    """

    part: int
    kind: str
    whole: bool


class Row(NamedTuple):
    """One fault; see :class:`Line`."""

    tensor: str
    width: int
    index: int  # pyright: ignore[reportIncompatibleMethodOverride] - nobody looks for an item in this tuple
    part: int
    kind: str
    bit: int
    code: int

    @property
    def key(self) -> Key:
        """What it is applied with."""
        return Key(self.part, self.kind, self.bit < 0)

    def line(self) -> Line:
        """The row of a file."""
        nan = float("nan")
        return Line(*self[:-1], before=nan, after=nan, code=self.code)


def is_inverted(key: Key) -> bool:
    """Whether the bits are inverted, whatever they are."""
    return not key.whole and key.kind in _INVERTED


def stuck_value(key: Key) -> int | None:
    """What the bits become, whatever they are; None if each takes its value from the record."""
    return None if key.whole else _STUCK.get(key.kind)


def rows_of(record: object) -> Iterator[Row]:
    """The rows of a record, or of what a record was made into.

    Raises:
        FaultError: It is something else, or has faults of which only the place is known.
    """
    if isinstance(record, FaultRecord):
        for line in record.lines():
            row = Row(
                unwrapped(line.tensor),
                line.width,
                line.index,
                line.part,
                line.kind,
                line.bit,
                line.code,
            )
            known = is_inverted(row.key) or stuck_value(row.key) is not None
            if not known and isnan(line.after) and line.code == 0:
                raise FaultError(
                    f"of the fault {line.kind!r} in word {line.index} of {line.tensor} only the place is known, as its value had not"
                    " come by when it was recorded; inject() with the same seed and trial does it again"
                )
            yield row
        return
    try:
        yield from (Row(*row) for row in cast("Sequence[Sequence[object]]", record))  # pyright: ignore[reportArgumentType] - checked next
    except TypeError:
        raise FaultError(
            f"Listed got a {type(record).__name__}; give what inject() yields or faults.load() reads"
        ) from None


def check_rows(trial: int, rows: Sequence[Row]) -> None:
    """Refuse rows that cannot be those of one trial.

    Raises:
        FaultError: A fault is given twice, cannot be, or contradicts another.
    """
    seen: set[tuple[str, int, Key, int]] = set()
    widths: dict[str, int] = {}
    for row in rows:
        place = (row.tensor, row.index, row.key, row.bit)
        problem = "it is given twice" if place in seen else fault_in(row.line())
        if widths.setdefault(row.tensor, row.width) != row.width:
            problem = f"its word has {row.width} bits, others of this tensor {widths[row.tensor]}"
        if problem:
            raise FaultError(
                f"record {trial}, {row.kind} in word {row.index} of {row.tensor}: {problem}"
            )
        seen.add(place)


class Grouped(NamedTuple):
    """The rows of one trial, ready to be injected.

    Attributes:
        hits: Of each key, of each tensor.
        extents: Of each tensor, the width of its words and the last one that is hit.
    """

    hits: dict[Key, dict[str, Hits]]
    extents: dict[str, tuple[int, int]]


def grouped(rows: Sequence[Row]) -> Grouped:
    """The hits of some rows."""
    found: dict[Key, dict[str, list[Row]]] = {}
    extents: dict[str, tuple[int, int]] = {}
    for row in rows:
        found.setdefault(row.key, {}).setdefault(row.tensor, []).append(row)
        last = extents.get(row.tensor, (0, 0))[1]
        extents[row.tensor] = (row.width, max(last, row.index))
    hits = {
        key: {name: _hits(key, some) for name, some in by_name.items()}
        for key, by_name in found.items()
    }
    return Grouped(hits, extents)


def _hits(key: Key, rows: Sequence[Row]) -> Hits:
    """The hits of rows of one tensor; the payload has the bits to take, as the bytes of float64."""
    index = np.array([row.index for row in rows], dtype=np.int64)
    ones = [2**row.width - 1 if row.bit < 0 else 1 << row.bit for row in rows]
    hits = merged(index, np.array(ones, dtype=np.uint64))
    if is_inverted(key) or stuck_value(key) is not None:
        return hits
    code = {row.index: row.code for row in rows}
    codes = np.array([code[word] for word in hits.index.tolist()], dtype=np.uint64)
    return hits._replace(payload=codes.view(np.float64))
