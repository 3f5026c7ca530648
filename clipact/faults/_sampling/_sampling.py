"""What a way of sampling is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from clipact.faults._hits import BitSpace, Hits, Indices, Numbers
from clipact.faults._models import FaultModel
from clipact.faults._summary import Estimator


class Sampler(ABC):
    """Draws the trials of one fault model. A trial's faults are a pure function of seed and trial number.

    Attributes:
        estimator: What makes estimates where trials do not all count alike; None where they do.
    """

    estimator: Estimator | None = None

    @abstractmethod
    def hits(self, trial: int) -> list[list[Hits]]:
        """The faults of a trial: of each part of the fault model, the hits of each space."""

    @abstractmethod
    def plan(self, total: int, trials: Indices, values: Numbers) -> Indices:
        """The numbers of the trials to run next, those that are done among them or not; empty at the end.

        Args:
            total: How many trials there are to be.
            trials: Numbers of those that are done, rising.
            values: What they gave.

        Raises:
            FaultError: ``total`` is too small.
        """


class Sampling(ABC):
    """How trials are drawn. Subclasses are frozen dataclasses.

    Attributes:
        is_adaptive: Whether what is run next depends on what was found.
    """

    is_adaptive: ClassVar[bool] = False

    @abstractmethod
    def prepare(self, fault: FaultModel, spaces: Sequence[BitSpace], seed: int) -> Sampler:
        """A sampler of one fault model over some bits.

        Raises:
            FaultError: This cannot be sampled so.
        """
