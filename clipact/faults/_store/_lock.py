"""One writer at a time: a lock on a side file, which the system lets go of when the process ends, however that happens."""

import os
import socket
import sys
import weakref
from contextlib import suppress
from pathlib import Path
from typing import final

from clipact.errors import CampaignError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_FAR = 2**30  # the byte that is locked on Windows, behind the text, which stays readable


@final
class Lock:
    """Hold ``path.lock`` for the length of a block; its folder is made if needed.

    Raises:
        CampaignError: Another process holds it, or the folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, path.with_name(f"{path.name}.lock")
        self._handle = -1

    def __enter__(self) -> None:
        while not self._taken():
            pass

    def __exit__(self, *_: object) -> None:
        if sys.platform != "win32":  # there, an open file cannot go
            self._file.unlink(missing_ok=True)
        self._close()

    def _taken(self) -> bool:
        """Whether the lock is held; not if its file went away meanwhile, with the writer before."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise CampaignError(
                f"{self._path} cannot be written, because its lock {self._file} cannot be made: {error.strerror}; give a path"
                " in a folder that can be written"
            ) from error
        try:
            _acquire(self._handle)
        except BlockingIOError:
            holder = os.read(self._handle, 200).decode(errors="replace").strip()
            self._close()
            raise CampaignError(
                f"{self._path} is being written by {holder or 'another process'}; wait for it, or give another path"
            ) from None
        except OSError as error:
            self._close()
            raise CampaignError(
                f"{self._path} cannot be written, because its file system does not lock {self._file}: {error.strerror}; give"
                " a path on another file system"
            ) from error
        if not self._still_there():
            self._close()
            return False
        with suppress(OSError):  # on a full disk nobody is told who writes
            os.ftruncate(self._handle, 0)
            os.write(self._handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
        _released_in_forks(self)
        return True

    def _still_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._handle), self._file.stat())
        except FileNotFoundError:
            return False

    def _close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _acquire(handle: int) -> None:
    if sys.platform == "win32":
        os.lseek(handle, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            raise BlockingIOError from None
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _released_in_forks(lock: Lock) -> None:
    """A forked worker that outlives the writer must not hold the lock for it."""
    if sys.platform != "win32":
        held = weakref.WeakMethod(lock._close)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - of this file

        def close() -> None:
            if forget := held():
                forget()

        os.register_at_fork(after_in_child=close)
