"""Any executor of ``concurrent.futures``."""

import concurrent.futures as cf
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, Final, final

from clipact.errors import CampaignError
from clipact.faults.executors._executor import Executor, Job, Outcome, Task, named
from clipact.faults.executors._window import Window
from clipact.faults.executors._worker import Failure, Ticket, issue, outcome, perform_signed

_AT_FIRST: Final = 8  # tasks
_AHEAD: Final = 4  # tasks a worker, so that none waits for the next


def futures(
    executor: cf.Executor, *, threads: int | None = 1, window: int | None = None
) -> Executor:
    """Run a campaign on somebody else's executor, such as loky's, Dask's or MPI's.

    It must run tasks in *processes* that can import clipact and read the same files; it is not shut down afterwards. What happens
    when a worker dies is up to it: Dask gives its task to another, most others break, and then so does the run; what
    is stored stays. :func:`processes` survives that.

    Args:
        executor: A ``concurrent.futures.Executor``: ``loky.get_reusable_executor()``, ``client.get_executor()`` of
            Dask, ``mpi4py.futures.MPIPoolExecutor()``.
        threads: How many threads torch may use in a worker process; None for as many as it does.
        window: How many tasks to hand over at once. None for a few at first and then four for each process that has
            answered, which needs no knowledge of how many there are.

    Raises:
        CampaignError: It is not such an executor, or one with threads: trials change the model in place.

    Examples:
        >>> from concurrent.futures import ProcessPoolExecutor
        >>> futures(ProcessPoolExecutor(2))
        futures(ProcessPoolExecutor)
    """
    given: Any = executor
    if isinstance(given, cf.ThreadPoolExecutor):
        raise CampaignError(
            f"a {type(given).__name__} cannot run a campaign, since trials change the model in place and threads would share"
            " it; use executors.processes(), or an executor with processes"
        )
    if not isinstance(given, cf.Executor):
        raise CampaignError(_not_one(given))
    if window is not None and window < 1:
        raise CampaignError(f"window is {window}; give the number of tasks to hand over, 1 or more")
    return _Futures(executor, threads, window)


def as_executor(value: object) -> Executor:
    """What a user gave as executor: one of ours, or any of ``concurrent.futures``.

    Raises:
        CampaignError: It is neither, or one with threads.
    """
    if isinstance(value, Executor):
        return value
    if isinstance(value, cf.Executor):
        return futures(value)
    raise CampaignError(_not_one(value))


@final
@dataclass(frozen=True, repr=False)
class _Futures(Executor):
    executor: cf.Executor
    threads: int | None
    window: int | None

    def run(
        self, job: Job[Task, Outcome], tasks: Iterable[Task]
    ) -> Generator[tuple[Task, Outcome]]:
        ticket = issue(job, self.threads)
        supply = iter(tasks)
        window: Window[Task, tuple[str, bytes | Failure]] = Window()
        workers: set[str] = set()
        try:
            while True:
                for task in supply:
                    window.add(task, self._submit(ticket, task))
                    if len(window) >= self._room(workers):
                        break
                if not window:
                    return
                task, future = window.take()
                worker, reply = self._reply(task, future)
                workers.add(worker)
                yield task, outcome(task, reply)
        finally:
            window.cancel()

    def _room(self, workers: set[str]) -> int:
        return max(_AT_FIRST, _AHEAD * len(workers)) if self.window is None else self.window

    def _submit(self, ticket: Ticket, task: Any) -> "cf.Future[tuple[str, bytes | Failure]]":
        try:
            return self.executor.submit(perform_signed, ticket, task)
        except Exception as error:
            raise self._explained(task, error) from error

    def _reply(
        self, task: Any, future: "cf.Future[tuple[str, bytes | Failure]]"
    ) -> tuple[str, bytes | Failure]:
        try:
            return future.result()
        except Exception as error:
            raise self._explained(task, error) from error

    def _explained(self, task: Any, error: Exception) -> CampaignError:
        if isinstance(error, cf.BrokenExecutor):
            return CampaignError(
                f"{self} broke, since one of its worker processes died; what is stored stays, so run again with a new one, or"
                " use executors.processes(), which goes on"
            )
        return CampaignError(f"{self} did not run {named(task)}: {error!r}")

    def __repr__(self) -> str:
        return f"futures({type(self.executor).__name__})"


def _not_one(value: object) -> str:
    return (
        f"a {type(value).__name__} is not an executor; give one of clipact.faults.executors, or any"
        " concurrent.futures.Executor (of Dask that is client.get_executor()); for schedulers without one there are shards"
    )
