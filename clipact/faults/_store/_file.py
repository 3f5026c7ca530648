"""SQLite files: opened for writing so that what is committed stays, or for reading beside a writer."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from clipact.errors import CampaignError
from clipact.faults._store._errors import explained
from clipact.faults._store._schema import is_new

_PATIENCE: Final = 60.0  # seconds that a writer waits for readers, and they for it


@contextmanager
def opened(path: Path) -> Generator[tuple[sqlite3.Connection, bool]]:
    """A connection that can write, and whether there is nothing in the file yet. Nothing is changed.

    Args:
        path: The file; made if needed.

    Raises:
        CampaignError: It cannot be opened, or is not a store.
    """
    with explained(path, "opening"):
        connection = sqlite3.connect(path.absolute(), timeout=_PATIENCE, isolation_level=None)
    with closing(connection):
        with explained(path, "opening"):
            new = is_new(connection, path)
        yield connection, new


@contextmanager
def durable(connection: sqlite3.Connection, path: Path) -> Generator[None]:
    """Within the block, what is committed is on the disk.

    At the end the file is one plain file again, which can be read where nothing can be written.

    Raises:
        CampaignError: It cannot be written.
    """
    with explained(path, "opening"):
        if not _journal(connection, "WAL"):
            _journal(connection, "TRUNCATE")
        connection.execute("PRAGMA synchronous = FULL")
    try:
        yield
    finally:  # where a reader is at it, or the disk is full, it stays as it is, and is as good
        with suppress(sqlite3.Error):
            _journal(connection, "DELETE")


@contextmanager
def reading(path: Path) -> Generator[sqlite3.Connection]:
    """A connection for reading, also while another process writes.

    Raises:
        CampaignError: There is no such file, or it is not a store.
    """
    check_there(path)
    with (
        explained(path, "reading"),
        closing(sqlite3.connect(read_only(path), uri=True, timeout=_PATIENCE)) as connection,
    ):
        if is_new(connection, path):
            raise CampaignError(f"{path} is empty: no campaign has been stored in it")
        yield connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """All of the block, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself has gone back where the disk failed
            connection.execute("ROLLBACK")
        raise


def read_only(path: Path) -> str:
    """The URI to open a file with, for reading only."""
    plain = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(plain, uri=True, timeout=_PATIENCE)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        refused = error.sqlite_errorcode & 0xFF in {
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_READONLY,
        }
        beside = (path.with_name(f"{path.name}{end}") for end in ("-wal", "-journal"))
        if refused and not any(file.exists() for file in beside):
            return f"{plain}&immutable=1"  # in a folder that cannot be written, so nobody writes
    return plain


def check_there(path: Path) -> None:
    """Refuse what is not a file.

    Raises:
        CampaignError: There is none.
    """
    if not path.is_file():
        raise CampaignError(f"there is no store {path}; give the path of one, as in run(store=…)")


def _journal(connection: sqlite3.Connection, mode: str) -> bool:
    """Ask for a way to keep transactions whole; whether it was granted."""
    try:
        return connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()[0] == mode.lower()
    except sqlite3.OperationalError:
        if mode == "WAL":  # where the file system cannot share memory between processes
            return False
        raise
