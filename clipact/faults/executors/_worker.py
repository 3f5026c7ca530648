"""The side of a worker process: it opens a job once and then performs one task after another."""

import os
import pickle
import socket
import sys
import threading
import traceback
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any, Final, final

import torch

from clipact.errors import CampaignError, ClipactError
from clipact.faults.executors._executor import Job, Outcome, Task, named

_PROGRAM: Final = uuid.uuid4().hex  # children made by fork have it too, and another process id


@final
@dataclass(frozen=True)
class Ticket:
    """Plain data with which a worker process can open a job.

    Attributes:
        token: Of one run; a process opens the job when it first sees it.
        job: Pickled.
        threads: How many threads torch may use in the process; None leaves that as it is.
        driver: The process that has the run's results.
        path: Where that looks for modules.
    """

    token: str
    job: bytes
    threads: int | None
    driver: str
    path: tuple[str, ...]


@final
@dataclass(frozen=True)
class Failure:
    """What a worker gives in place of an outcome when something raises there.

    Attributes:
        text: The traceback.
        error: What was raised, where that is one of clipact's own.
    """

    text: str
    error: ClipactError | None


def issue(job: Job[Task, Outcome], threads: int | None) -> Ticket:
    """Make the ticket of a run.

    Raises:
        CampaignError: The job cannot be pickled.
    """
    try:
        content = pickle.dumps(job)
    except Exception as error:
        raise CampaignError(f"the job cannot be sent to worker processes: {error}") from error
    path = tuple(entry or str(Path.cwd()) for entry in sys.path)
    return Ticket(uuid.uuid4().hex, content, threads, _identity(), path)


def perform(ticket: Ticket, task: Any) -> bytes | Failure:
    """Perform a task in this process; the outcome comes pickled, so that whatever carries it has nothing to do with it."""
    if ticket.driver == _identity():
        return _failure(
            CampaignError(
                "the executor performs tasks in threads of the program itself, where they would be no faster and share"
                " what is global; use one with processes, such as executors.processes()"
            )
        )
    try:
        return _pickled(task, _workplace(os.getpid()).perform(ticket, task))
    except (Exception, SystemExit) as error:
        return _failure(error)


def perform_signed(ticket: Ticket, task: Any) -> tuple[str, bytes | Failure]:
    """Perform a task, and say which process did."""
    return f"{socket.gethostname()}-{os.getpid()}", perform(ticket, task)


def outcome(task: Any, reply: bytes | Failure) -> Any:
    """What a worker found.

    Raises:
        CampaignError: Something raised in the worker, unless that is another of clipact's errors, which then is raised.
    """
    if isinstance(reply, bytes):
        return pickle.loads(reply)
    error = reply.error or CampaignError(
        f"{named(task)} failed in a worker process: {reply.text.strip().splitlines()[-1]}; the notes have its traceback, and in"
        " process (executor=None) it can be debugged"
    )
    error.add_note(f"In the worker process:\n{reply.text}")
    raise error


@final
class _Workplace:
    """What a process has open. Tasks change the model in place, so there is one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token: str | None = None
        self._open = ExitStack()
        self._function: Callable[[Any], Any] | None = None
        Finalize(
            None, self._close, exitpriority=1
        )  # also in a child process, where atexit is not called

    def perform(self, ticket: Ticket, task: Any) -> Any:
        with self._lock:
            if self._function is None or self._token != ticket.token:
                self._function = self._begin(ticket)
            return self._function(task)

    def _begin(self, ticket: Ticket) -> Callable[[Any], Any]:
        self._close()
        if ticket.threads is not None:
            torch.set_num_threads(ticket.threads)
        sys.path.extend(entry for entry in ticket.path if entry not in sys.path)
        job: Job[Any, Any] = pickle.loads(ticket.job)
        function = self._open.enter_context(job.open())
        self._token = ticket.token
        return function

    def _close(self) -> None:
        self._function = self._token = None
        self._open.close()


@cache
def _workplace(process: int) -> _Workplace:  # noqa: ARG001 - a child made by fork begins with nothing open
    """The one of this process. It outlives every task: between two, nothing else does in a worker that is not ours."""
    return _Workplace()


def _pickled(task: Any, found: Any) -> bytes:
    try:
        return pickle.dumps(found)
    except Exception as error:
        raise CampaignError(
            f"the outcome of {named(task)} is a {type(found).__name__} that pickle refuses ({error}); it must be plain data"
        ) from error


def _identity() -> str:
    return f"{_PROGRAM}-{os.getpid()}"


def _failure(error: BaseException) -> Failure:
    text = "".join(traceback.format_exception(error))
    return Failure(text, error if isinstance(error, ClipactError) else None)
