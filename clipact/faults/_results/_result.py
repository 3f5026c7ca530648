"""What a campaign found, one row a trial."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy.typing as npt

from clipact._frame import data_frame
from clipact.errors import CampaignError
from clipact.faults._formats import Format
from clipact.faults._models import FaultModel
from clipact.faults._results._columns import Columns
from clipact.faults._results._frame import frame, write_csv, write_parquet
from clipact.faults._results._gather import gather
from clipact.faults._results._kept import Numbers
from clipact.faults._results._rows import Rows
from clipact.faults._results._summarise import summarise
from clipact.faults._results._summary import Estimator, Summary
from clipact.faults._results._trial import Trial

if TYPE_CHECKING:
    import pandas as pd


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Result:
    """The trials of a campaign: by fault model, then by number; those that were done, of those that were asked for.

    Attributes:
        golden: Metrics of the fault-free run.
        faults: The fault models, in order.
        trials_per_fault: How many trials each was to have; which ones were done, the rows say.
        seed: Of the campaign.
        target: Where faults could fall, in words.
        format: Number format whose bits were changed.
        population: Number of bits of the target.
        data: What was evaluated, in words; empty if the evaluation does not say.
        sampling: How trials were chosen, in words.
        lifetime: How long a fault stays, in words.
        columns: The trials as arrays.
        tensors: Names of what faults could fall on, in the model's order; empty if not known.
        estimators: Of the fault models whose trials do not all count alike, what makes an estimate of them.
    """

    golden: Mapping[str, float]
    faults: tuple[FaultModel, ...]
    trials_per_fault: int
    seed: int
    target: str
    format: Format
    population: int
    data: str
    columns: Columns
    sampling: str = "uniform"
    lifetime: str = "static"
    tensors: tuple[str, ...] = ()
    estimators: Mapping[FaultModel, Estimator] = field(default_factory=dict[FaultModel, Estimator])

    @classmethod
    def of(  # noqa: PLR0913 - what a result is; all but the trials by keyword
        cls,
        trials: Iterable[Trial],
        *,
        golden: Mapping[str, float],
        faults: Sequence[FaultModel],
        trials_per_fault: int,
        seed: int,
        target: str,
        format: Format,  # noqa: A002 - the word of the attribute
        population: int,
        data: str = "",
        sampling: str = "uniform",
        lifetime: str = "static",
        estimators: Mapping[FaultModel, Estimator] | None = None,
    ) -> "Result":
        """A result of these trials, which may come in any order; the other arguments are its attributes.

        Raises:
            CampaignError: A trial comes twice, or has another fault model or other metrics.
        """
        return cls(
            golden=dict(golden),
            faults=tuple(faults),
            trials_per_fault=trials_per_fault,
            seed=seed,
            target=target,
            format=format,
            population=population,
            data=data,
            columns=gather(trials, faults, list(golden)),
            sampling=sampling,
            lifetime=lifetime,
            estimators=dict(estimators or {}),
        )

    @property
    def trials(self) -> Sequence[Trial]:
        """Every trial, by fault model, then by number; made when asked for."""
        return Rows(self.columns, self.faults)

    @property
    def failures(self) -> tuple[Trial, ...]:
        """The trials whose evaluation raised."""
        rows = self.trials
        return tuple(rows[row] for row in self.columns.errors)

    @property
    def description(self) -> str:
        """Target, number format, population and seed in words, and what is not usual of lifetime and sampling."""
        rest = f", {self.lifetime} faults" if self.lifetime != "static" else ""
        rest += f", {self.sampling} sampling" if self.sampling != "uniform" else ""
        return f"{self.target} in {self.format}: {self.population:,} bits, seed {self.seed}{rest}"

    def values(self, metric: str, fault: FaultModel | None = None) -> Numbers:
        """A metric's value in every trial of a fault model, by trial number, shape ``(trials,)``.

        Args:
            metric: Its name.
            fault: The fault model; None for the trials of all, in the order of :attr:`trials`.

        Returns:
            Values; NaN where the evaluation raised.

        Raises:
            CampaignError: There is no such metric or fault model.
        """
        if metric not in self.golden:
            raise CampaignError(f"there is no metric {metric!r}; there is {', '.join(self.golden)}")
        return self.columns.metrics[metric][slice(None) if fault is None else self.rows(fault)]

    def rows(self, fault: FaultModel) -> slice:
        """Where the trials of a fault model are among all.

        Raises:
            CampaignError: There is no such fault model.
        """
        if fault not in self.faults:
            raise CampaignError(f"there is no {fault}; there is {', '.join(map(str, self.faults))}")
        return self.columns.rows(self.faults.index(fault))

    def fault_columns(self) -> Mapping[str, npt.NDArray[Any]]:
        """The faults of trials that had few, as columns of equal length.

        Returns:
            ``row`` (place among :attr:`trials`, rising), ``tensor``, ``index``, ``bit`` (-1 for a whole word), ``kind``,
            ``before`` and ``after``, as in :class:`Fault`.
        """
        return self.columns.kept.named()

    def summary(
        self,
        *,
        confidence: float = 0.95,
        estimators: Mapping[FaultModel, Estimator] | None = None,
    ) -> Summary:
        """Per fault model, the mean of each metric with its interval; print it.

        Trials whose evaluation raised are left out and counted.

        Args:
            confidence: Of the intervals.
            estimators: Instead of the result's own; ``{}`` counts all trials alike.
        """
        return summarise(self, confidence, self.estimators if estimators is None else estimators)

    def to_pandas(self) -> "pd.DataFrame":
        """One row a trial: ``trial``, ``fault``, the metrics, ``seconds``, ``flips``, ``error``.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return data_frame(dict(frame(self)))

    def to_csv(self, path: str | os.PathLike[str]) -> Path:
        """Write the rows of :meth:`to_pandas` as CSV, whole or not at all; nothing needs to be installed."""
        return write_csv(Path(path), frame(self))

    def to_parquet(self, path: str | os.PathLike[str]) -> Path:
        """Write the rows of :meth:`to_pandas` as Parquet, whole or not at all.

        Raises:
            MissingExtraError: pyarrow is not installed.
        """
        return write_parquet(Path(path), frame(self))

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        asked = self.trials_per_fault * len(self.faults)
        done = "" if len(self) == asked else f", {len(self):,} done"
        return f"Result({len(self.faults)} faults x {self.trials_per_fault} trials{done}, seed={self.seed}; {self.description})"

    def __str__(self) -> str:
        return str(self.summary())
