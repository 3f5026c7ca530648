"""The trials of a campaign as columns, so that a million of them fit in memory and are summed up at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

from clipact.errors import CampaignError
from clipact.faults._results._kept import Integers, KeptFaults, Numbers

Digests: TypeAlias = npt.NDArray[np.bytes_]


@final
@dataclass(frozen=True, eq=False)
class Columns:
    """One entry a trial, by place of the fault model, then by number; shape ``(trials,)`` each.

    Attributes:
        fault: Places among the fault models.
        trial: Numbers.
        seconds: Times.
        flips: Numbers of bits changed.
        digest: Of where these are.
        metrics: Values by name; NaN where the evaluation raised.
        errors: Traceback by row, of the rows where it raised.
        kept: The faults that trials kept.
    """

    fault: Integers
    trial: Integers
    seconds: Numbers
    flips: Integers
    digest: Digests
    metrics: Mapping[str, Numbers]
    errors: Mapping[int, str]
    kept: KeptFaults

    def __len__(self) -> int:
        return self.trial.size

    @property
    def failed(self) -> npt.NDArray[np.bool_]:
        """In which rows the evaluation raised."""
        found = np.zeros(len(self), dtype=np.bool_)
        found[list(self.errors)] = True
        return found

    def rows(self, place: int) -> slice:
        """The rows of a fault model."""
        low, high = np.searchsorted(self.fault, [place, place + 1])
        return slice(int(low), int(high))


@final
@dataclass(frozen=True, eq=False)
class Block:
    """The plain columns of some trials, in any order; ``errors`` by place in the block."""

    fault: Integers
    trial: Integers
    seconds: Numbers
    flips: Integers
    digest: Digests
    metrics: Sequence[Numbers]
    errors: Mapping[int, str]


def join(
    blocks: Sequence[Block],
    metrics: Sequence[str],
    kept: Callable[[Callable[[Integers, Integers], Integers]], KeptFaults],
) -> Columns:
    """Blocks as one, in order.

    Args:
        blocks: Any number.
        metrics: Names of their metrics.
        kept: Given a function from places of fault models and trial numbers to rows, gives the kept faults.

    Raises:
        CampaignError: A trial is there twice.
    """
    every = [*blocks, _nothing(len(metrics))]
    fault, trial = (
        np.concatenate(part) for part in zip(*((b.fault, b.trial) for b in every), strict=True)
    )
    order = np.lexsort((trial, fault))
    fault, trial = fault[order], trial[order]
    if twice := np.flatnonzero((fault[1:] == fault[:-1]) & (trial[1:] == trial[:-1])).tolist():
        raise CampaignError(
            f"trial {trial[twice[0]]} of fault model {fault[twice[0]]} is there twice; give each trial once"
        )

    def rows(places: Integers, numbers: Integers) -> Integers:
        return _search((fault, trial), (places, numbers))

    return Columns(
        fault=fault,
        trial=trial,
        seconds=np.concatenate([b.seconds for b in every])[order],
        flips=np.concatenate([b.flips for b in every])[order],
        digest=np.concatenate([b.digest for b in every])[order],
        metrics={
            name: np.concatenate([b.metrics[column] for b in every])[order]
            for column, name in enumerate(metrics)
        },
        errors=_errors(every, order),
        kept=kept(rows),
    )


def _nothing(metrics: int) -> Block:
    integers, numbers = np.empty(0, np.int64), np.empty(0)
    digest = np.empty(0, np.bytes_)
    return Block(integers, integers, numbers, integers, digest, [numbers] * metrics, {})


def _errors(blocks: Sequence[Block], order: Integers) -> dict[int, str]:
    """Tracebacks by row; equal ones are one object."""
    starts = np.cumsum([0, *(b.trial.size for b in blocks)]).tolist()
    found = {
        start + at: text
        for b, start in zip(blocks, starts, strict=False)
        for at, text in b.errors.items()
    }
    if not found:
        return {}
    once: dict[str, str] = {}
    to_row = np.argsort(order)
    by_row = sorted((int(to_row[at]), text) for at, text in found.items())
    return {row: once.setdefault(text, text) for row, text in by_row}


def _search(keys: tuple[Integers, Integers], wanted: tuple[Integers, Integers]) -> Integers:
    """Rows of pairs among sorted pairs."""
    found = np.empty(wanted[0].size, dtype=np.int64)
    for place in np.unique(wanted[0]).tolist():
        low, high = np.searchsorted(keys[0], [place, place + 1])
        these = wanted[0] == place
        found[these] = low + np.searchsorted(keys[1][low:high], wanted[1][these])
    return found
