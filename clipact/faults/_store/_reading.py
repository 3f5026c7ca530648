"""Tables into a result."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clipact.faults._results._columns import Block, Columns, join
from clipact.faults._results._kept import Integers, KeptFaults, kept_faults
from clipact.faults._results._result import Result
from clipact.faults._store._identity import Identity
from clipact.faults._store._schema import columns

_BLOCK = 8192


def result_of(connection: sqlite3.Connection, identity: Identity) -> Result:
    """Every trial of a store, within a transaction."""
    estimators = {
        fault: estimator.of_campaign(identity.trials)
        for fault, estimator in zip(identity.faults, identity.estimators, strict=False)
    }
    return Result(
        golden=dict(identity.golden),
        faults=identity.faults,
        trials_per_fault=identity.trials,
        seed=identity.seed,
        target=identity.target,
        format=identity.format,
        population=identity.population,
        data=identity.data,
        columns=_columns(connection, list(identity.golden)),
        sampling=identity.sampling,
        lifetime=identity.lifetime,
        tensors=identity.tensors,
        estimators=estimators,
    )


def _columns(connection: sqlite3.Connection, metrics: Sequence[str]) -> Columns:
    texts = _texts(connection)
    names = ", ".join(
        ["fault", "trial", "seconds", "flips", "digest", "error", *columns(len(metrics))]
    )
    cursor = connection.execute(f"SELECT {names} FROM trials ORDER BY fault, trial")
    blocks: list[Block] = []
    while rows := cursor.fetchmany(_BLOCK):
        blocks.append(_block(list(zip(*rows, strict=True)), texts))
    return join(blocks, metrics, _kept(connection, texts))


def _block(read: Sequence[tuple[Any, ...]], texts: npt.NDArray[np.object_]) -> Block:
    fault, trial, seconds, flips, digest, error, *values = read
    return Block(
        fault=np.array(fault, np.int64),
        trial=np.array(trial, np.int64),
        seconds=np.array(seconds, np.float64),
        flips=np.array(flips, np.int64),
        digest=np.array(digest, np.bytes_),
        metrics=[np.array(column, np.float64) for column in values],  # NULL becomes NaN
        errors={
            place: str(texts[number]) for place, number in enumerate(error) if number is not None
        },
    )


def _kept(
    connection: sqlite3.Connection, texts: npt.NDArray[np.object_]
) -> Callable[[Callable[[Integers, Integers], Integers]], KeptFaults]:
    names = 'fault, trial, tensor, "index", bit, kind, before, after'
    cursor = connection.execute(f"SELECT {names} FROM faults ORDER BY fault, trial, place")
    kinds = (np.int64,) * 6 + (np.float64,) * 2
    blocks = [[np.empty(0, kind) for kind in kinds]]
    while rows := cursor.fetchmany(_BLOCK):
        read = zip(zip(*rows, strict=True), kinds, strict=True)
        blocks.append([np.array(column, kind) for column, kind in read])
    place, trial, *rest = (np.concatenate(parts) for parts in zip(*blocks, strict=True))

    def kept(rows: Callable[[Integers, Integers], Integers]) -> KeptFaults:
        return kept_faults(rows(place, trial), rest, texts)

    return kept


def _texts(connection: sqlite3.Connection) -> npt.NDArray[np.object_]:
    """Texts at the place of their numbers."""
    held: list[tuple[int, str]] = connection.execute("SELECT id, text FROM texts").fetchall()
    texts = np.full(max((number for number, _ in held), default=0) + 1, "", dtype=object)
    for number, text in held:
        texts[number] = text
    return texts
