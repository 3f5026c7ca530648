"""Worker processes on this machine, under a supervisor that replaces those that die."""

import logging
import multiprocessing as mp
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeAlias, final

from clipact.errors import CampaignError
from clipact.faults._shipping import private_folder
from clipact.faults._streams import is_integer
from clipact.faults.executors._backlog import Backlog, Entry
from clipact.faults.executors._executor import Executor, Job, Outcome, Task, named
from clipact.faults.executors._pool import Pool
from clipact.faults.executors._spill import fetch, perform_spilling
from clipact.faults.executors._window import Window
from clipact.faults.executors._worker import Failure, Ticket, issue, outcome

_log: Final = logging.getLogger(__name__)
_FALSE_STARTS: Final = 2
_AHEAD: Final = 2  # tasks a worker, so that none waits for the next

_Reply: TypeAlias = bytes | Failure | Path


def processes(n: int, *, threads: int = 1, restarts: int = 20, poison: int = 3) -> Executor:
    """Run a campaign in ``n`` processes on this machine.

    They begin as copies of a process that has imported torch and nothing of this program (``forkserver``, on Linux) or
    import it each (``spawn``, elsewhere). A program that starts them does so under
    ``if __name__ == "__main__":``, since each reads its file again. When one is killed, all are replaced and only what is
    not done is done again; Ctrl-C ends them, and so does the end of this process, however it comes.

    Args:
        n: How many processes; the number of cores divided by ``threads``, at most.
        threads: How many threads torch uses in each.
        restarts: How often they may be replaced in one run.
        poison: How often a worker may die with the same task in flight; then the run stops, since that task kills.

    Raises:
        CampaignError: A number is not 1 or more, or this *is* a worker that reads the program's file.

    Examples:
        >>> processes(2)
        processes(2)
    """
    for name, value in {
        "n": n,
        "threads": threads,
        "poison": poison,
        "restarts + 1": restarts + 1,
    }.items():
        if not is_integer(value) or value < 1:
            raise CampaignError(
                f"processes() got {name} = {value!r}, which is less than 1, or no integer"
            )
    if getattr(mp.current_process(), "_inheriting", False):  # as multiprocessing itself finds out
        raise CampaignError(
            "a worker process reads the program's file, and the file starts workers again; put what it does under"
            ' `if __name__ == "__main__":`'
        )
    return _Processes(n, threads, restarts, poison)


@final
@dataclass(frozen=True, repr=False)
class _Processes(Executor):
    workers: int
    threads: int
    restarts: int
    poison: int

    def run(
        self, job: Job[Task, Outcome], tasks: Iterable[Task]
    ) -> Generator[tuple[Task, Outcome]]:
        ticket = issue(job, self.threads)
        backlog = Backlog(tasks, self.poison)
        false_starts = 0
        with private_folder() as folder:
            for breakdowns in count(1):
                with Pool(self.workers, folder / "started") as pool:
                    unfinished = yield from self._until_broken(pool, backlog, ticket, folder)
                    if not unfinished:
                        return
                    how = pool.deaths()
                false_starts = false_starts + 1 if pool.in_vain else 0
                self._check(breakdowns, false_starts, how)
                _log.warning("a worker process died (%s); %d tasks go again", how, len(unfinished))
                if pool.started:
                    backlog.put_back_suspects(unfinished)
                else:
                    backlog.put_back(unfinished)

    def _until_broken(
        self, pool: Pool, backlog: Backlog[Task], ticket: Ticket, folder: Path
    ) -> Generator[tuple[Task, Any], None, list[Entry[Task]]]:
        """Give what is done, until nothing is left to do or the pool breaks; what was in flight then is returned."""
        unfinished: list[Entry[Task]] = []
        window: Window[Entry[Task], _Reply] = Window()
        while True:
            while not unfinished and len(window) < _AHEAD * self.workers:
                if (entry := backlog.take(list(window))) is None:
                    break
                future = pool.submit(perform_spilling, folder, ticket, entry.task)
                window.add(entry, future)
            if not window:
                return unfinished
            entry, future = window.take()
            reply = _reply(entry.task, future)
            if reply is None:
                unfinished.append(entry)
            else:
                yield entry.task, outcome(entry.task, fetch(reply))

    def _check(self, breakdowns: int, false_starts: int, how: str) -> None:
        if false_starts == _FALSE_STARTS:
            raise CampaignError(
                f"worker processes end as they start ({how}); what they print says why, for the most part that the program's"
                ' file lacks `if __name__ == "__main__":` around what starts them'
            )
        if breakdowns > self.restarts:
            raise CampaignError(
                f"worker processes died {breakdowns} times (the last: {how}), more often than restarts={self.restarts} allows; what"
                " is stored stays, so the same run can go on"
            )

    def __repr__(self) -> str:
        return f"processes({self.workers})"


def _reply(task: Any, future: Future[_Reply]) -> _Reply | None:
    """What a worker said; None if it could not any more."""
    try:
        return future.result()
    except BrokenProcessPool:
        return None
    except Exception as error:
        raise CampaignError(
            f"{named(task)} cannot be sent to a worker process: {error!r}"
        ) from error
