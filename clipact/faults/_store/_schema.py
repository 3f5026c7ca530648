"""The tables of a store, and how a store is told from other files."""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from clipact.errors import CampaignError

SCHEMA: Final = 1
_APPLICATION: Final = int.from_bytes(b"clip", "big")

# Values have no declared type, so that SQLite keeps every number as it is, -0.0 too; NaN is NULL there.
_META = "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
_TEXTS = "CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)"
_TRIALS = """
CREATE TABLE trials (
    fault INTEGER NOT NULL, trial INTEGER NOT NULL, seconds, flips INTEGER NOT NULL, digest TEXT NOT NULL,
    error INTEGER REFERENCES texts {metrics}, PRIMARY KEY (fault, trial)
) WITHOUT ROWID"""
_FAULTS = """
CREATE TABLE faults (
    fault INTEGER NOT NULL, trial INTEGER NOT NULL, place INTEGER NOT NULL, tensor INTEGER NOT NULL REFERENCES texts,
    "index" INTEGER NOT NULL, bit INTEGER NOT NULL, kind INTEGER NOT NULL REFERENCES texts, before, after,
    PRIMARY KEY (fault, trial, place)
) WITHOUT ROWID"""
_RESULTS = """
CREATE VIEW results AS SELECT trial,
    (SELECT json_extract(value, '$[' || fault || '].text') FROM meta WHERE name = 'faults') AS fault {metrics},
    seconds, flips, (SELECT text FROM texts WHERE id = error) AS error FROM trials"""


def is_new(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether there is nothing in the file yet; otherwise it is a store that can be used. Changes nothing.

    Raises:
        CampaignError: It is something else, or a store of a newer clipact.
    """
    application, schema, tables = (
        connection.execute(query).fetchone()[0]
        for query in (
            "PRAGMA application_id",
            "PRAGMA user_version",
            "SELECT count(*) FROM sqlite_master",
        )
    )
    if application == 0 and tables == 0:
        return True
    if application != _APPLICATION:
        raise CampaignError(
            f"{path} is an SQLite file of another program, not a store of clipact; it is left as it is, give another path"
        )
    if schema > SCHEMA:
        raise CampaignError(
            f"{path} is a store of schema {schema}, written by a newer clipact; this one reads up to {SCHEMA}: update clipact, or"
            " give another path"
        )
    return False


def create(connection: sqlite3.Connection, meta: Mapping[str, str], metrics: Sequence[str]) -> None:
    """Make the tables, within a transaction."""
    places = columns(len(metrics))
    plain = "".join(f", {place}" for place in places)
    named = "".join(f", {p} AS {_quoted(n)}" for p, n in zip(places, metrics, strict=True))
    for statement in (_META, _TEXTS, _TRIALS.format(metrics=plain), _FAULTS):
        connection.execute(statement)
    connection.execute(_RESULTS.format(metrics=named))  # a view to be read by other programs
    connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {SCHEMA}")


def columns(metrics: int) -> list[str]:
    """Names of the columns of metrics, whose own names may be anything."""
    return [f"m{place}" for place in range(metrics)]


def meta_of(connection: sqlite3.Connection, of: str = "main") -> dict[str, str]:
    """What the store says of its campaign.

    Args:
        connection: To it.
        of: Name under which it is attached.
    """
    return dict(connection.execute(f"SELECT name, value FROM {of}.meta").fetchall())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
