"""A pool of worker processes that can be taken down at any moment, and goes down with this process."""

import copy
import multiprocessing as mp
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar, final

Reply = TypeVar("Reply")

_METHOD: Final = "forkserver" if sys.platform == "linux" else "spawn"
_PRELOADED: Final = ["torch", __name__]


@final
class Pool:
    """``workers`` processes in a ``ProcessPoolExecutor``; a block at whose end none is left.

    At a normal end they finish what they have; after an exception, which includes an early close, they are killed.

    Args:
        workers: How many.
        marker: A file of which a worker that starts makes a trace.
    """

    def __init__(self, workers: int, marker: Path) -> None:
        context = mp.get_context(_METHOD)
        if _METHOD == "forkserver":
            mp.set_forkserver_preload(_PRELOADED)
        self._processes: list[BaseProcess] = []
        self._marker = marker
        self._marker.unlink(missing_ok=True)
        self._pool = ProcessPoolExecutor(
            workers,
            mp_context=_noting(context, self._processes),
            initializer=_begin,
            initargs=(marker,),
        )

    def submit(self, function: Callable[..., Reply], *args: Any) -> Future[Reply]:
        """Have a worker call a function; if the pool is broken, the future says so."""
        try:
            return self._pool.submit(function, *args)
        except BrokenProcessPool as error:
            failed: Future[Reply] = Future()
            failed.set_exception(error)
            return failed

    @property
    def started(self) -> bool:
        """Whether any worker came as far as its first task."""
        return self._marker.exists()

    @property
    def in_vain(self) -> bool:
        """Whether workers ended by themselves as they started; one that was killed may start another time."""
        return not self.started and any((process.exitcode or 0) > 0 for process in self._processes)

    def deaths(self) -> str:
        """How workers died, once the pool is broken; those that died first, not those that it then ended itself."""
        self._pool.shutdown(wait=True)
        codes = {process.exitcode for process in self._processes} - {None, 0, -signal.SIGTERM}
        return ", ".join(sorted(_cause(code) for code in codes if code is not None)) or "it ended"

    def __enter__(self) -> "Pool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._pool.shutdown(wait=True)
        finally:
            self._kill()

    def _kill(self) -> None:
        for process in self._processes:
            if process.is_alive():
                process.kill()
        self._pool.shutdown(wait=True)


def _noting(context: Any, processes: list[BaseProcess]) -> Any:
    """The same context, which also notes the processes it makes; a pool does not tell them."""
    noting: Any = copy.copy(context)

    def make(*args: Any, **kwargs: Any) -> BaseProcess:
        process: BaseProcess = context.Process(*args, **kwargs)
        processes.append(process)
        return process

    noting.Process = make
    return noting


def _begin(marker: Path) -> None:
    """The first that a worker does. It leaves a file: a lock that it took could stay taken, if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the driver ends the workers
    parent = mp.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    marker.touch()


def _follow(parent: Any) -> None:
    """End with the driver, also when it is killed."""
    parent.join()
    os._exit(1)


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
