"""What a sampling is: which faults the trials of a campaign have, and what they say about all faults."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from clipact.faults._hits import BitSpace, Hits
from clipact.faults._models import FaultModel
from clipact.faults._numbers._pooled import NOTHING, trial_mean
from clipact.faults._numbers._statistics import Interval
from clipact.faults._results._kept import Integers, Numbers
from clipact.faults._results._summary import Estimator


class Sampler(ABC):
    """Chooses the faults of one campaign with one fault model. All methods are pure functions.

    The fault of a trial is a function of the seed and its number alone. Trial numbers need not follow each other.
    """

    @property
    def metric(self) -> str | None:
        """The metric whose values :meth:`plan` goes by; None if by none."""
        return None

    @property
    def estimator(self) -> Estimator | None:
        """What weighs the trials; None where all count alike."""
        return None

    @abstractmethod
    def hits(self, trial: int) -> list[list[Hits]]:
        """What a trial hits: of each part of the fault model, the hits of each tensor."""

    @abstractmethod
    def plan(self, trials: Integers, values: Numbers) -> Integers:
        """The trials to run, in this order, as far as that is known; those that are done are among them.

        The campaign is finished when all of them are done.

        Args:
            trials: Numbers of the trials that are done, in any order, shape ``(trials,)``.
            values: Their values of :attr:`metric`, one each.
        """

    def estimate(self, trials: Integers, values: Numbers, confidence: float = 0.95) -> Interval:
        """The mean of a metric over all faults there are, with its interval.

        All three numbers are NaN where there is no value, one is not finite, or a stratum has no trial yet.

        Args:
            trials: Numbers of the trials, in any order, shape ``(trials,)``.
            values: One a trial.
            confidence: Of the interval, between 0 and 1.
        """
        if not values.size:
            return NOTHING
        if self.estimator is None:
            return trial_mean(values, confidence)
        return self.estimator.estimate(trials, values, confidence)


class Sampling(ABC):
    """Says which faults the trials of a campaign have. Subclasses are frozen dataclasses."""

    @property
    def is_adaptive(self) -> bool:
        """Whether the first trials decide which ones come later, so that no one can run only a part of them."""
        return False

    @abstractmethod
    def prepare(
        self, fault: FaultModel, spaces: Sequence[BitSpace], seed: int, trials: int
    ) -> Sampler:
        """The sampler of a campaign.

        Args:
            fault: The fault model.
            spaces: The bits of each tensor.
            seed: Of the campaign.
            trials: How many there are to be. More of them later leave the faults of all trials as they are.

        Raises:
            FaultError: The fault model has not exactly one fault in a trial, or there are too few trials.
        """
