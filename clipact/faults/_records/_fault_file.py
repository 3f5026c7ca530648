"""Faults as a CSV file, one a row."""

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from clipact.errors import FaultError
from clipact.faults._results._atomic import replacing


class Line(NamedTuple):
    """One fault, with all that is needed to inject it again.

    Attributes:
        tensor: Dotted name of the tensor.
        width: Bits of a word.
        index: Flat index of the word.
        part: Which part of the fault model, in the order in which they are applied.
        kind: What happened to the bit or word.
        bit: Position in the word; -1 for the whole word.
        before: The word's value before.
        after: The word's value with all its faults.
        code: The word's bits after this part.
    """

    tensor: str
    width: int
    index: int  # pyright: ignore[reportIncompatibleMethodOverride] - nobody looks for an item in this tuple
    part: int
    kind: str
    bit: int
    before: float
    after: float
    code: int


def write(path: str | os.PathLike[str], lines: Iterable[Line]) -> None:
    """Write a file of faults, whole or not at all."""
    with replacing(Path(path)) as new, new.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Line._fields)
        writer.writerows(line._replace(code=f"{line.code:#x}") for line in lines)


def read(path: str | os.PathLike[str]) -> list[Line]:
    """The faults of a file.

    Raises:
        FaultError: It is not a file of faults.
        OSError: It cannot be read.
    """
    with Path(path).open(encoding="utf-8", newline="") as file:
        try:
            return list(_lines(path, file))
        except (UnicodeDecodeError, csv.Error) as error:
            raise FaultError(f"{path} is not a file of faults, which are CSV: {error}") from error


def _lines(path: str | os.PathLike[str], file: TextIO) -> Iterator[Line]:
    rows = csv.reader(file)
    header = next(rows, [])
    if tuple(header) != Line._fields:
        raise FaultError(
            f"{path} starts with {','.join(header)[:80]!r}, not with {','.join(Line._fields)!r}; give a file that"
            " FaultRecord.save() wrote"
        )
    for row in rows:
        try:
            tensor, width, index, part, kind, bit, before, after, code = row
            line = Line(
                tensor,
                int(width),
                int(index),
                int(part),
                kind,
                int(bit),
                float(before),
                float(after),
                int(code, 0),
            )
        except ValueError:
            raise FaultError(
                f"{path}, line {rows.line_num}: {','.join(row)!r} is not a fault; the columns are {', '.join(Line._fields)}"
            ) from None
        if problem := fault_in(line):
            raise FaultError(f"{path}, line {rows.line_num}: {problem}")
        yield line


def fault_in(line: Line) -> str | None:
    """What cannot be in a fault."""
    if not 1 <= line.width <= 64:
        return f"a word of {line.tensor} cannot have {line.width} bits; the width is 1 to 64"
    if not -1 <= line.bit < line.width:
        return f"a word of {line.width} bits has no bit {line.bit}; give 0 to {line.width - 1}, or -1 for the whole word"
    if line.index < 0 or line.part < 0:
        return f"index {line.index} or part {line.part} is negative; both count from 0"
    if not 0 <= line.code < 2**line.width:
        return f"code {line.code:#x} has more than {line.width} bits"
    return None
