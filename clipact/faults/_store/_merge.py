"""Shards of one campaign into one store."""

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from clipact.errors import CampaignError
from clipact.faults._results._atomic import replacing
from clipact.faults._store._errors import explained
from clipact.faults._store._file import durable, opened, read_only, reading, transaction
from clipact.faults._store._identity import differences, from_json
from clipact.faults._store._lock import Lock
from clipact.faults._store._schema import columns, create, meta_of


def merge(paths: Iterable[str | os.PathLike[str]], out: str | os.PathLike[str]) -> Path:
    """Put the trials of several stores of one campaign into one; they may overlap.

    Args:
        paths: The stores; they are only read, and may still be written to.
        out: The file to write, whole or not at all. If it is a store of the same campaign, its trials are kept.

    Returns:
        ``out``.

    Raises:
        CampaignError: The stores are not of the same campaign, a trial has other results in two of them, or one
            cannot be read or written.
    """
    target, shards = Path(out), [Path(path) for path in paths]
    if not shards:
        raise CampaignError("merge() got no store; give the paths of at least one")
    with Lock(target):
        if target.exists() and _fold(target):
            shards = [target, *shards]
        meta = _common(shards)
        with replacing(target) as new, explained(target, "writing"):
            _write(new, shards, meta)
    return target


def _fold(target: Path) -> bool:
    """Bring what is still in files beside a store into it, as they would not fit the new one; whether it holds anything."""
    with opened(target) as (connection, new), durable(connection, target):
        pass
    beside = target.with_name(f"{target.name}-wal")
    if beside.exists():
        raise CampaignError(
            f"{target} is being read ({beside} is in use); wait, or give another path"
        )
    return not new


def _common(shards: Sequence[Path]) -> dict[str, str]:
    """What all shards say of their campaign."""
    first: dict[str, str] = {}
    for shard in shards:
        with reading(shard) as connection:
            held = meta_of(connection)
        first = first or held
        found = differences(first, held)
        if lines := [f"  {what}: {shards[0]} has {a}, {shard} has {b}" for what, a, b in found]:
            raise CampaignError(
                "\n".join(
                    [
                        f"{shards[0]} and {shard} are not of the same campaign, so they do not merge:",
                        *lines,
                    ]
                )
            )
        first["trials"] = str(max(int(first["trials"]), int(held["trials"])))
    return first


def _write(new: Path, shards: Sequence[Path], meta: Mapping[str, str]) -> None:
    metrics = list(from_json(meta).golden)
    uri = new.absolute().as_uri()
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        connection.isolation_level = None
        connection.execute(
            "PRAGMA synchronous = OFF"
        )  # the whole file goes to the disk before it takes its place
        with transaction(connection):
            create(connection, meta, metrics)
        for shard in shards:
            connection.execute("ATTACH ? AS shard", (read_only(shard),))
            with transaction(connection):
                _check_agree(connection, shard, meta)
                _copy(connection, len(metrics))
            connection.execute("DETACH shard")


def _copy(connection: sqlite3.Connection, metrics: int) -> None:
    """What the shard has and the store has not."""
    text = "(SELECT id FROM main.texts WHERE text = (SELECT text FROM shard.texts AS t WHERE t.id = s.{}))"
    trial = [
        "fault",
        "trial",
        "seconds",
        "flips",
        "digest",
        text.format("error"),
        *columns(metrics),
    ]
    tensor, kind = text.format("tensor"), text.format("kind")
    fault = ["fault", "trial", "place", tensor, '"index"', "bit", kind, "before", "after"]
    for table, found in (("texts", ["NULL", "text"]), ("trials", trial), ("faults", fault)):
        connection.execute(
            f"INSERT INTO main.{table} SELECT {', '.join(found)} FROM shard.{table} AS s WHERE true ON CONFLICT DO NOTHING"
        )


def _check_agree(connection: sqlite3.Connection, shard: Path, meta: Mapping[str, str]) -> None:
    """Refuse a trial that has other results in the shard; times and the words of tracebacks may differ."""
    identity = from_json(meta)
    what = {"flips": "flips", "digest": "faults", "error IS NOT NULL": "failures"}
    what |= dict(zip(columns(len(identity.golden)), identity.golden, strict=True))
    for column, name in what.items():
        a, b = (f"{of}.{column}" for of in ("a", "b"))
        found = connection.execute(
            f"SELECT fault, trial, {a}, {b} FROM main.trials AS a JOIN shard.trials AS b USING (fault, trial)"
            f" WHERE ({a}) IS NOT ({b}) LIMIT 1"
        ).fetchone()
        if found:
            fault, trial, *values = found
            one, two = ("nan" if value is None else value for value in values)
            raise CampaignError(
                f"trial {trial} of {identity.faults[fault]} has {name} {two} in {shard} and {one} in another of the stores, where"
                " it must be the same; find out which is right, and merge without the other"
            )
