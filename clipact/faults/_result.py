"""What a campaign found, one row a trial."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
import numpy.typing as npt

from clipact.errors import CampaignError
from clipact.faults._drawing import Addresses, BitSpace
from clipact.faults._evaluation import Metrics
from clipact.faults._formats import Format
from clipact.faults._models import FaultModel
from clipact.faults._record import data_frame
from clipact.faults._summary import Summary, summarise

if TYPE_CHECKING:
    import pandas as pd


@final
@dataclass(frozen=True)
class Trial:
    """One draw of faults with its evaluation.

    Attributes:
        trial: Its number; the same number draws the same faults again.
        fault: The fault model.
        metrics: What the evaluation gave.
        seconds: Time of injection, evaluation and restoration.
        flips: Number of bits changed.
        digest: Of where they are; equal for equal faults.
    """

    trial: int
    fault: FaultModel
    metrics: Metrics
    seconds: float
    flips: int
    digest: str


@final
@dataclass(frozen=True, repr=False)
class Result:
    """The trials of a campaign.

    Attributes:
        golden: Metrics of the fault-free run.
        trials: Every trial, by fault model, then by number.
        faults: The fault models, in order.
        trials_per_fault: How many trials each has.
        seed: Of the campaign.
        target: Where faults could fall, in words.
        format: Number format whose bits were changed.
        population: Number of bits of the target.
        data: What was evaluated, in words; empty if the evaluation does not say.
    """

    golden: Mapping[str, float]
    trials: tuple[Trial, ...]
    faults: tuple[FaultModel, ...]
    trials_per_fault: int
    seed: int
    target: str
    format: Format
    population: int
    data: str

    @property
    def description(self) -> str:
        """Target, number format, population and seed, in words."""
        return f"{self.target} in {self.format}: {self.population:,} bits, seed {self.seed}"

    def values(self, metric: str, fault: FaultModel) -> npt.NDArray[np.float64]:
        """A metric's value in every trial of a fault model, by trial number, shape ``(trials,)``.

        Raises:
            CampaignError: There is no such metric or fault model.
        """
        if metric not in self.golden:
            raise CampaignError(f"there is no metric {metric!r}; there is {', '.join(self.golden)}")
        if fault not in self.faults:
            raise CampaignError(f"there is no {fault}; there is {', '.join(map(str, self.faults))}")
        return np.array([t.metrics[metric] for t in self.trials if t.fault == fault])

    def summary(self, *, confidence: float = 0.95) -> Summary:
        """Per fault model, the mean of each metric with its interval; print it."""
        return summarise(self, confidence)

    def to_pandas(self) -> "pd.DataFrame":
        """One row a trial: ``trial``, ``fault``, the metrics, ``seconds``, ``flips``.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return data_frame(
            {
                "trial": [t.trial for t in self.trials],
                "fault": [str(t.fault) for t in self.trials],
                **{m: [t.metrics[m] for t in self.trials] for m in self.golden},
                "seconds": [t.seconds for t in self.trials],
                "flips": [t.flips for t in self.trials],
            }
        )

    def __len__(self) -> int:
        return len(self.trials)

    def __repr__(self) -> str:
        return f"Result({len(self.faults)} faults x {self.trials_per_fault} trials, seed={self.seed}; {self.description})"

    def __str__(self) -> str:
        return str(self.summary())


def digest(spaces: Sequence[BitSpace], addresses: Sequence[Addresses]) -> str:
    """A hash of which bits of which tensors are hit."""
    found = hashlib.sha256()
    for space, part in zip(spaces, addresses, strict=True):
        if part.size:
            found.update(f"{space.name}/{part.size}/".encode())
            found.update(part.tobytes())
    return found.hexdigest()[:16]
