"""Trials out of columns."""

from collections.abc import Iterator, Sequence
from typing import final, overload

from clipact.faults._models import FaultModel
from clipact.faults._results._columns import Columns
from clipact.faults._results._trial import Trial

_BLOCK = 8192


@final
class Rows(Sequence[Trial]):
    """Every trial of a result, made when asked for."""

    def __init__(self, columns: Columns, faults: Sequence[FaultModel]) -> None:
        self._columns, self._faults = columns, faults

    def __len__(self) -> int:
        return len(self._columns)

    @overload
    def __getitem__(self, place: int) -> Trial: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Trial, ...]: ...

    def __getitem__(self, place: int | slice) -> Trial | tuple[Trial, ...]:
        if isinstance(place, slice):
            return tuple(self[at] for at in range(len(self))[place])
        row = range(len(self))[place]
        return self._trials(row, row + 1)[0]

    def __iter__(self) -> Iterator[Trial]:
        for start in range(0, len(self), _BLOCK):
            yield from self._trials(start, min(start + _BLOCK, len(self)))

    def _trials(self, start: int, stop: int) -> list[Trial]:
        rows, held = slice(start, stop), self._columns
        plain = (held.trial, held.fault, held.seconds, held.flips, held.digest)
        columns = [column[rows].tolist() for column in plain]
        values = [column[rows].tolist() for column in held.metrics.values()]
        names, kept = tuple(held.metrics), held.kept.of_rows(start, stop)
        found: list[Trial] = []
        for at, (number, fault, seconds, flips, digest) in enumerate(zip(*columns, strict=True)):
            error = held.errors.get(start + at)
            metrics = (
                {} if error is not None else {n: v[at] for n, v in zip(names, values, strict=True)}
            )
            faults = tuple(kept.get(start + at, ()))
            fixed = (seconds, flips, digest.decode())
            found.append(Trial(number, self._faults[fault], metrics, *fixed, error, faults))
        return found
