"""Tasks that are still to be done, those that saw a worker die first."""

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar, final

from clipact.errors import CampaignError
from clipact.faults.executors._executor import named

Task = TypeVar("Task")


@final
@dataclass(eq=False)
class Entry(Generic[Task]):
    """A task, and how often a worker died while it was in flight."""

    task: Task
    breakdowns: int = 0


@final
class Backlog(Generic[Task]):
    """Gives out tasks, and takes back those that were not done.

    All tasks in flight when a worker dies may be the reason. One that was there at all breakdowns but the last that it
    may see is given out alone, so that a task is never blamed for what another did.

    Args:
        tasks: Read one by one.
        poison: How many breakdowns a task may see; at the last the run stops.
    """

    def __init__(self, tasks: Iterable[Task], poison: int) -> None:
        self._tasks = iter(tasks)
        self._again: deque[Entry[Task]] = deque()
        self._poison = poison

    def take(self, flying: Collection[Entry[Task]]) -> Entry[Task] | None:
        """The next to be done beside those in flight; None if there is none, or none may be beside them."""
        if any(self._alone(entry) for entry in flying):
            return None
        if self._again:
            return None if flying and self._alone(self._again[0]) else self._again.popleft()
        for task in self._tasks:
            return Entry(task)
        return None

    def put_back(self, entries: Iterable[Entry[Task]]) -> None:
        """Take back tasks without blame."""
        self._again.extend(entries)

    def put_back_suspects(self, entries: Collection[Entry[Task]]) -> None:
        """Take back the tasks that were in flight when a worker died.

        Raises:
            CampaignError: One of them has seen too many breakdowns.
        """
        for entry in entries:
            entry.breakdowns += 1
        self.put_back(entries)
        worn = [entry.task for entry in entries if entry.breakdowns >= self._poison]
        if worn:
            raise CampaignError(
                f"a worker process died {self._poison} times with {' or '.join(map(named, worn))} in flight, as the system kills"
                " one that takes too much memory, or native code crashes; run it in process (executor=None) to see why"
            )

    def _alone(self, entry: Entry[Task]) -> bool:
        return entry.breakdowns >= max(1, self._poison - 1)
