"""The store of a campaign."""

import os
import sqlite3
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import final

import numpy as np

from clipact.errors import CampaignError
from clipact.faults._results._kept import Integers
from clipact.faults._results._result import Result
from clipact.faults._results._trial import Trial
from clipact.faults._store._errors import explained
from clipact.faults._store._file import durable, opened, reading, transaction
from clipact.faults._store._identity import Identity, differences, from_json, to_json
from clipact.faults._store._lock import Lock
from clipact.faults._store._reading import result_of
from clipact.faults._store._schema import create, meta_of
from clipact.faults._store._writing import insert


@final
class Store:
    """The trials of one campaign in an SQLite file; made by :meth:`open` or :meth:`in_memory`.

    What :meth:`add` was given is on the disk when it returns, whatever happens then; a trial is there once, however often it
    is given. One process writes at a time; any may read meanwhile.

    Attributes:
        identity: What the campaign measures.

    Examples:
        >>> from clipact.faults import BitFlip, Native, Trial
        >>> flip = BitFlip(count=1)
        >>> identity = Identity(
        ...     weights="…",
        ...     data="60 samples",
        ...     faults=(flip,),
        ...     target="Weights()",
        ...     format=Native(),
        ...     seed=0,
        ...     trials=10,
        ...     population=320,
        ...     golden={"accuracy": 0.9},
        ...     dtype="float32",
        ... )
        >>> with Store.in_memory(identity) as store:
        ...     store.add([Trial(3, flip, {"accuracy": 0.8}, seconds=0.1, flips=1, digest="…")])
        ...     store.done(0)
        array([3])
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, identity: Identity) -> None:
        self.identity = identity
        self._connection, self._path = connection, path
        self._places = {fault: place for place, fault in enumerate(identity.faults)}

    @classmethod
    @contextmanager
    def open(cls, path: str | os.PathLike[str], identity: Identity) -> Generator["Store"]:
        """Create a store, or continue one of the same campaign; for the length of a block.

        Args:
            path: The file; made if needed, with its folder. While it is written there are files beside it with
                ``-wal``, ``-shm`` and ``.lock`` after its name.
            identity: What the campaign measures. The number of trials may be another than before.

        Raises:
            CampaignError: The file is a store of another campaign, of a newer clipact or no store at all, another
                process writes it, or it cannot be written.
        """
        file = Path(path)
        if not file.name or file.is_dir():
            raise CampaignError(
                f"the store {str(path)!r} is a folder or has no name; give the path of a file, such as run.sqlite"
            )
        with Lock(file), opened(file) as (connection, new):
            agreed = identity if new else _agreed(connection, identity, file)
            with durable(connection, file):
                with explained(file, "writing"), transaction(connection):
                    _begin(connection, agreed, new=new)
                yield cls(connection, file, agreed)

    @classmethod
    @contextmanager
    def in_memory(cls, identity: Identity) -> Generator["Store"]:
        """A store without a file, gone at the end of the block."""
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            with transaction(connection):
                _begin(connection, identity, new=True)
            yield cls(connection, Path("memory"), identity)

    @staticmethod
    def read(path: str | os.PathLike[str]) -> Result:
        """The trials of a store as they are now, also while another process adds to it; no model is needed.

        Fault models whose class is not there print the same and compare, but cannot be drawn from.

        Raises:
            CampaignError: There is no such file, or it is not a store.
        """
        file = Path(path)
        with reading(file) as connection:
            connection.execute("BEGIN")  # one view of all tables
            return result_of(connection, from_json(meta_of(connection)))

    @staticmethod
    def identify(path: str | os.PathLike[str]) -> Identity:
        """What the campaign of a store measures; no model is needed.

        Raises:
            CampaignError: There is no such file, or it is not a store.
        """
        with reading(Path(path)) as connection:
            return from_json(meta_of(connection))

    def done(self, fault: int) -> Integers:
        """Numbers of the trials that are there, rising, failed ones included.

        Args:
            fault: Place of the fault model.
        """
        with explained(self._path, "reading"):
            rows = self._connection.execute(
                "SELECT trial FROM trials WHERE fault = ? ORDER BY trial", (fault,)
            )
            return np.fromiter((trial for (trial,) in rows), np.int64)

    def add(self, rows: Iterable[Trial]) -> None:
        """Store trials: all of them or, if that fails, none. Those that are there already stay as they are.

        Raises:
            CampaignError: They cannot be written, or one has another fault model or other metrics.
        """
        trials = list(rows)
        with explained(self._path, "writing"), transaction(self._connection):
            insert(self._connection, trials, self._places, list(self.identity.golden))

    def result(self) -> Result:
        """Every trial so far."""
        with explained(self._path, "reading"):
            return result_of(self._connection, self.identity)


def _begin(connection: sqlite3.Connection, identity: Identity, *, new: bool) -> None:
    """Make the tables, or note how many trials are asked for."""
    if new:
        create(connection, to_json(identity), list(identity.golden))
    else:
        asked = (to_json(identity)["trials"],)
        connection.execute("UPDATE meta SET value = ? WHERE name = 'trials'", asked)


def _agreed(connection: sqlite3.Connection, identity: Identity, file: Path) -> Identity:
    """The identity with the larger number of trials and the metrics in the order of the store.

    Raises:
        CampaignError: The store is of another campaign.
    """
    with explained(file, "reading"):
        held = meta_of(connection)
    found = differences(held, to_json(identity))
    if lines := [f"  {what}: the store has {a}, asked was {b}" for what, a, b in found]:
        head = f"{file} is the store of another campaign; give another path, or ask for the same:"
        raise CampaignError("\n".join([head, *lines]))
    stored = from_json(held)
    trials = max(stored.trials, identity.trials)
    return replace(identity, trials=trials, golden=stored.golden)
