"""Trials into tables."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence

from clipact.faults._models import FaultModel
from clipact.faults._results._gather import place_of, values_of
from clipact.faults._results._trial import Trial
from clipact.faults._store._schema import columns


def insert(
    connection: sqlite3.Connection,
    trials: Sequence[Trial],
    faults: Mapping[FaultModel, int],
    metrics: Sequence[str],
) -> None:
    """Put trials into the tables, within a transaction; one that is there stays as it is.

    Args:
        connection: To the store.
        trials: Of the campaign.
        faults: Place of each fault model.
        metrics: Names of the metrics, in the order of their columns.

    Raises:
        CampaignError: A trial has another fault model or other metrics.
    """
    places = [place_of(trial, faults) for trial in trials]
    texts = _texts(connection, trials)
    marks = ", ".join(["?"] * (6 + len(columns(len(metrics)))))
    connection.executemany(
        f"INSERT INTO trials VALUES ({marks}) ON CONFLICT DO NOTHING",
        (
            (
                place,
                int(t.trial),
                float(t.seconds),
                int(t.flips),
                t.digest,
                None if t.error is None else texts[t.error],
                *map(float, values_of(t, metrics)),
            )
            for place, t in zip(places, trials, strict=True)
        ),
    )
    connection.executemany(
        f"INSERT INTO faults VALUES ({', '.join('?' * 9)}) ON CONFLICT DO NOTHING",
        _faults(trials, places, texts),
    )


def _faults(
    trials: Sequence[Trial], places: Iterable[int], texts: Mapping[str, int]
) -> Iterator[tuple[int | float, ...]]:
    for place, trial in zip(places, trials, strict=True):
        for number, f in enumerate(trial.faults):
            key = (place, int(trial.trial), number)
            words = (texts[f.tensor], int(f.index), int(f.bit), texts[f.kind])
            yield (*key, *words, float(f.before), float(f.after))


def _texts(connection: sqlite3.Connection, trials: Iterable[Trial]) -> dict[str, int]:
    """The numbers under which tracebacks, names of tensors and kinds of faults are kept."""
    needed: dict[str, None] = {}
    for trial in trials:
        if trial.error is not None:
            needed[trial.error] = None
        for fault in trial.faults:
            needed[fault.tensor] = needed[fault.kind] = None
    connection.executemany(
        "INSERT INTO texts (text) VALUES (?) ON CONFLICT DO NOTHING", ((text,) for text in needed)
    )
    find = "SELECT id FROM texts WHERE text = ?"
    return {text: connection.execute(find, (text,)).fetchone()[0] for text in needed}
