"""What is run, and what runs it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager
from typing import Final, Protocol, TypeVar, final

_LONG: Final = 120  # characters

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")
Task_contra = TypeVar("Task_contra", contravariant=True)
Outcome_co = TypeVar("Outcome_co", covariant=True)


class Job(Protocol[Task_contra, Outcome_co]):
    """What a worker does with a task.

    A job is sent to every worker process, so it is small and can be pickled: it holds the *path* of a model, never the
    model. Tasks and outcomes are plain data.
    """

    def open(self) -> AbstractContextManager[Callable[[Task_contra], Outcome_co]]:
        """Make ready for tasks, such as by loading the model: once a process, left when the process ends."""
        ...


class Executor(ABC):
    """Runs the tasks of a job somewhere.

    Every task gives one outcome, whatever happens to the workers in between, as long as :meth:`run` does not raise.
    """

    @abstractmethod
    def run(
        self, job: Job[Task, Outcome], tasks: Iterable[Task]
    ) -> Generator[tuple[Task, Outcome]]:
        """Give each task with its outcome, in the order in which they are done.

        Tasks are read as workers become free, so there may be any number. Close the generator to stop early: what has
        not begun never does, and processes that were started for it end.

        Raises:
            CampaignError: The job cannot be sent or opened, a task raises, or workers keep dying.
        """


def named(task: object) -> str:
    """A task for a message: what it is, not each of its thousand numbers."""
    text = str(task)
    return text if len(text) <= _LONG else f"{text[:_LONG]}…"


@final
class InProcess(Executor):
    """Runs the tasks here, one after another."""

    def run(
        self, job: Job[Task, Outcome], tasks: Iterable[Task]
    ) -> Generator[tuple[Task, Outcome]]:
        """See :class:`Executor`."""
        with job.open() as perform:
            for task in tasks:
                yield task, perform(task)
