"""Faults read from a file."""

import os

import numpy as np

from clipact.errors import FaultError
from clipact.faults._records._fault_file import read
from clipact.faults._records._record import FaultRecord


def load(path: str | os.PathLike[str]) -> FaultRecord:
    """The faults that :meth:`FaultRecord.save` wrote; inject them with :class:`Listed`.

    Parts of the fault model that hit nothing are not in the file; what is there is numbered anew.

    Raises:
        FaultError: It is not a file of faults, or it contradicts itself.
        OSError: It cannot be read.

    Examples:
        >>> import tempfile, torch
        >>> from clipact import faults
        >>> model = torch.nn.Linear(4, 2)
        >>> with faults.inject(model, faults.BitFlip(count=3), faults.Weights()) as record:
        ...     pass
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     record.save(f"{folder}/faults.csv")
        ...     again = load(f"{folder}/faults.csv")
        >>> list(again) == list(record)
        True
    """
    lines = read(path)
    widths: dict[str, int] = {}
    kinds: dict[int, str] = {}
    for line in lines:
        _same(path, "tensor", line.tensor, widths.setdefault(line.tensor, line.width), line.width)
        _same(path, "part", line.part, kinds.setdefault(line.part, line.kind), line.kind)
    names = {name: place for place, name in enumerate(widths)}
    parts = {part: place for place, part in enumerate(sorted(kinds))}
    return FaultRecord(
        kinds=tuple(kinds[part] for part in parts),
        names=tuple(widths),
        widths=tuple(widths.values()),
        tensor=np.array([names[line.tensor] for line in lines], dtype=np.int64),
        index=np.array([line.index for line in lines], dtype=np.int64),
        part=np.array([parts[line.part] for line in lines], dtype=np.int64),
        bit=np.array([line.bit for line in lines], dtype=np.int64),
        before=np.array([line.before for line in lines], dtype=np.float64),
        after=np.array([line.after for line in lines], dtype=np.float64),
        code=np.array([line.code for line in lines], dtype=np.uint64),
    )


def _same(path: object, what: str, which: object, first: object, now: object) -> None:
    if first != now:
        raise FaultError(
            f"{path}: {what} {which} is given with {first} and with {now}; it has one of them in all rows"
        )
