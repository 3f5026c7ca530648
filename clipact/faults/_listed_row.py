"""The rows of a list of faults, and what their kinds mean."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from clipact.faults._fault_file import Line
from clipact.faults._hits import Hits, merged

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
