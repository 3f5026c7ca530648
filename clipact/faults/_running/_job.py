"""What a worker is sent, and what it does with it."""

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import final

from torch import nn

from clipact.errors import CampaignError
from clipact.faults._evaluations._evaluation import Evaluation
from clipact.faults._running._session import Session
from clipact.faults._running._spec import Options, Outcome, Spec, Task
from clipact.faults._shipping import Shipped


@final
class LocalJob:
    """The session of this process, for :class:`InProcess`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @contextmanager
    def open(self) -> Generator[Callable[[Task], Outcome]]:
        """The session's way to run a task."""
        yield self._session.run


@final
@dataclass(frozen=True)
class ShippedJob:
    """A session of its own in each worker, over the model in a file.

    Attributes:
        shipped: Model and evaluation.
        spec: The campaign.
        options: How trials are run.
        golden: Metrics of the golden run, which a worker must find again.
    """

    shipped: Shipped
    spec: Spec
    options: Options
    golden: Mapping[str, float]

    def open(self) -> AbstractContextManager[Callable[[Task], Outcome]]:
        """Load the model, measure the golden run, and be ready for tasks.

        Raises:
            CampaignError: The golden run is another one here.
        """
        return self._opened()

    @contextmanager
    def _opened(self) -> Generator[Callable[[Task], Outcome]]:
        loaded = self.shipped.load()
        model: nn.Module = loaded.objects["model"]
        evaluation: Evaluation = loaded.objects["evaluation"]
        with Session.open(model, evaluation, self.spec, self.options) as session:
            if repr(dict(session.golden.metrics)) != repr(dict(self.golden)):
                raise CampaignError(
                    f"the golden run gave {dict(session.golden.metrics)} in a worker and {dict(self.golden)} in this process:"
                    " the evaluation does not repeat, or rounds otherwise there (another number of threads, another machine)"
                )

            def perform(task: Task) -> Outcome:
                outcome = session.run(task)
                loaded.discard_changes()
                return outcome

            yield perform
