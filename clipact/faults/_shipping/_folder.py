"""A folder of this program's own, which disappears with it."""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import fcntl

_PREFIX: Final = "clipact-run-"
_LOCK: Final = "owner.lock"


@contextmanager
def private_folder(parent: Path | str | None = None) -> Generator[Path]:
    """Make a folder that only this user can enter, for the length of a block.

    A program that was killed leaves its folder behind; the next one on the same machine finds that nobody holds it
    any more and removes it.

    Args:
        parent: Where to make it; the system's temporary folder if None. For workers on other machines, a folder on a
            file system that they share.

    Examples:
        >>> with private_folder() as folder:
        ...     _ = (folder / "note").write_text("text")
        >>> folder.exists()
        False
    """
    place = Path(tempfile.gettempdir() if parent is None else parent)
    if sys.platform != "win32":
        _remove_abandoned(place)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    try:
        with _held(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _held(folder: Path) -> Generator[None]:
    """Hold a lock on a folder; the system lets go of it when the program ends, however that happens."""
    if sys.platform == "win32":
        yield
        return
    draft = folder / f"{_LOCK}.draft"
    with draft.open("w") as lock:
        lock.write(socket.gethostname())
        lock.flush()
        with suppress(OSError):  # a file system without locks; then nobody else gets one either
            fcntl.flock(lock, fcntl.LOCK_EX)
        draft.rename(folder / _LOCK)  # only now can others see it, and it is held
        yield


def _remove_abandoned(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(
            OSError
        ):  # held by its program, removed by another just now, or somebody else's
            if not folder.is_symlink() and folder.stat().st_uid == os.getuid():
                _remove_if_free(folder)


def _remove_if_free(folder: Path) -> None:
    with (folder / _LOCK).open("r+") as lock:
        if lock.read() != socket.gethostname():  # locks need not reach from one machine to another
            return
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
