"""A fault model that draws nothing: the faults of a list, again."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias, cast, final

import numpy as np

from clipact.errors import FaultError
from clipact.faults._hits import NO_HITS, BitSpace, Codes, Hits
from clipact.faults._memory._words import Words
from clipact.faults._models import FaultModel, Mechanism
from clipact.faults._records._listed_row import (
    Grouped,
    Key,
    Row,
    check_rows,
    grouped,
    is_inverted,
    rows_of,
    stuck_value,
)
from clipact.faults._records._record import FaultRecord
from clipact.faults._streams import Draw

Listing: TypeAlias = tuple[tuple[Row, ...], ...]


@final
@dataclass(frozen=True, repr=False)
class Listed(FaultModel):
    """The faults of records, again: what :func:`inject` yielded, or :func:`load` read.

    In the model they were recorded in every bit becomes what it was. In another one the same words and bits are hit: flips
    and bursts invert them, stuck bits take their value, and whole words take the bits they had in the record, whatever fault
    model gave them. Seeds play no part.

    Args:
        records: One record, or one for each trial: trial ``t`` has the faults of record ``t``, so that a campaign has as many trials
            as there are records. Kept as plain rows.

    Raises:
        FaultError: There is no record, it has a fault twice, or faults of which only the place is known (whole words
            in values that had not come by). When drawn: there is no record for the trial, the target does not have
            one of the tensors, or its words are fewer or of another width.

    Examples:
        >>> import torch
        >>> from clipact import faults
        >>> model = torch.nn.Linear(4, 2)
        >>> with faults.inject(model, faults.BitFlip(count=3), faults.Weights(), seed=7) as record:
        ...     once = model.weight.detach().clone()
        >>> with faults.inject(model, Listed(record), faults.Weights()):
        ...     torch.equal(model.weight, once)
        True
    """

    records: FaultRecord | Sequence[FaultRecord] | Listing

    def __post_init__(self) -> None:
        several: object = self.records
        if not isinstance(several, FaultRecord | list | tuple):
            raise FaultError(
                f"Listed({several!r}): give a record, as inject() yields and faults.load() reads, or a list of records"
            )
        given = [self.records] if isinstance(self.records, FaultRecord) else list(self.records)
        if not given:
            raise FaultError("Listed([]) has no record; give one for each trial")
        rows = tuple(tuple(rows_of(each)) for each in given)
        for trial, each in enumerate(rows):
            check_rows(trial, each)
        object.__setattr__(self, "records", rows)

    def __repr__(self) -> str:
        trials = f"{len(self._rows)} trials, " if len(self._rows) > 1 else ""
        number = sum(map(len, self._rows))
        return f"Listed({trials}{number} fault{'' if number == 1 else 's'}, {self._digest})"

    @property
    def parts(self) -> tuple[Mechanism, ...]:
        """What was applied one after the other."""
        return self._parts

    def expected(self, spaces: Sequence[BitSpace]) -> float:
        """Mean number of faults of a trial."""
        del spaces
        return sum(map(len, self._rows)) / len(self._rows)

    def hits(self, key: Key, spaces: Sequence[BitSpace], trial: int) -> list[Hits]:
        """The hits of one part in each tensor, in one trial.

        Raises:
            FaultError: They do not fit.
        """
        if trial >= len(self._rows):
            raise FaultError(
                f"{self} has no trial {trial}; its trials are numbered from 0 to {len(self._rows) - 1}"
            )
        for name, (width, last) in self._trials[trial].extents.items():
            self._check_fits(name, width, last, spaces)
        found = self._trials[trial].hits.get(key, {})
        return [found.get(space.name, NO_HITS) for space in spaces]

    @property
    def _rows(self) -> Listing:
        return cast("Listing", self.records)

    @cached_property
    def _parts(self) -> tuple[Mechanism, ...]:
        keys = {key for trial in self._trials for key in trial.hits}
        return tuple(_ListedPart(self, key) for key in sorted(keys))

    @cached_property
    def _trials(self) -> tuple[Grouped, ...]:
        return tuple(map(grouped, self._rows))

    @cached_property
    def _digest(self) -> str:
        plain = [[tuple(row) for row in rows] for rows in self._rows]
        return hashlib.sha256(repr(plain).encode()).hexdigest()[:8]

    def _check_fits(self, name: str, width: int, last: int, spaces: Sequence[BitSpace]) -> None:
        """Refuse a target that has no tensor of this name, or one of other words."""
        space = next((space for space in spaces if space.name == name), None)
        if space is None:
            raise FaultError(
                f"{self} has faults in {name}, which the target does not have; give the target and the model they were recorded"
                " with, or ones with tensors of these names"
            )
        if space.width != width:
            raise FaultError(
                f"{self} has faults in words of {width} bits in {name}, where a word has {space.width}; give the number format"
                " and the type they were recorded with"
            )
        if last >= space.words:
            raise FaultError(
                f"{self} has a fault in word {last} of {name}, which has the words 0 to {space.words - 1}; give a model with"
                " tensors of the same shapes"
            )


@final
@dataclass(frozen=True, repr=False)
class _ListedPart(Mechanism):
    """One part of a list: the rows of one key."""

    listed: Listed
    key: Key

    def __repr__(self) -> str:
        return f"{self.listed}.parts[{self.listed.parts.index(self)}]"

    @property
    def parts(self) -> tuple[Mechanism, ...]:
        return (self,)

    @property
    def kind(self) -> str:
        return self.key.kind

    @property
    def whole_words(self) -> bool:
        return self.key.whole

    def expected(self, spaces: Sequence[BitSpace]) -> float:
        return self.listed.expected(spaces)

    def draw(self, spaces: Sequence[BitSpace], draw: Draw) -> list[Hits]:
        return self.listed.hits(self.key, spaces, draw.trial)

    def corrupt(self, words: Words) -> Codes:
        if is_inverted(self.key):
            return words.codes ^ words.mask
        value = stuck_value(self.key)
        if value is not None:
            return words.codes | words.mask if value else words.codes & ~words.mask
        taken = np.zeros(0) if words.payload is None else words.payload
        return (words.codes & ~words.mask) | (taken.view(np.uint64) & words.mask)
