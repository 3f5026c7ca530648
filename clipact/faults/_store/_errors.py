"""What SQLite's errors mean for a store."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from clipact.errors import CampaignError

_MEANING = {
    sqlite3.SQLITE_FULL: "its disk is full; make room and run the same again",
    sqlite3.SQLITE_READONLY: "it cannot be written; allow that, or give another path",
    sqlite3.SQLITE_PERM: "it cannot be written; allow that, or give another path",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check its folder and the permissions",
    sqlite3.SQLITE_BUSY: "another program has it open and does not let go; close that and run the same again",
    sqlite3.SQLITE_NOTADB: "it is not a store of clipact; give another path",
    sqlite3.SQLITE_CORRUPT: "it is damaged; run the same again with another path, or bring a copy back",
    sqlite3.SQLITE_IOERR: "its disk does not answer or is full; check that and run the same again",
}

_BROKEN = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


@contextmanager
def explained(path: Path, doing: str) -> Generator[None]:
    """Raise SQLite's errors as one sentence of what was being done and what to do.

    Args:
        path: The store.
        doing: What goes on in the block, as ``"writing"``; all that went on before it is kept.

    Raises:
        CampaignError: SQLite gave up.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if "decode" in str(error):
            code = sqlite3.SQLITE_CORRUPT
        meaning = _MEANING.get(code, "see the message")
        kept = "" if code in _BROKEN else "; trials stored before are kept"
        raise CampaignError(f"{doing} {path} failed ({error}): {meaning}{kept}") from error
