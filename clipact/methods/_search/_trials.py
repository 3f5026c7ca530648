"""The faults under which thresholds are compared: the same ones for every threshold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

from torch import nn

from clipact.errors import FaultError
from clipact.faults import BitFlip, Format, Target, inject
from clipact.methods._search._accuracy import Accuracy


class Cell(NamedTuple):
    """One draw of faults."""

    rate: float
    trial: int


@final
@dataclass(frozen=True)
class FaultPlan:
    """Which faults: several draws at each of several bit error rates.

    Attributes:
        rates: Probabilities that a bit is flipped.
        trials: Draws at each rate.
        seed: Which series of draws.
        target: Where.
        format: In which bits.

    Raises:
        FaultError: No rate, a rate outside (0, 1] or twice, no trial, or a seed below 0.
    """

    rates: Sequence[float]
    trials: int
    seed: int
    target: Target
    format: Format

    def __post_init__(self) -> None:
        if not self.rates:
            raise FaultError("rates=() asked for; give bit error rates, such as rates=(1e-6, 1e-5)")
        for rate in self.rates:
            if not 0.0 < rate <= 1.0:
                raise FaultError(
                    f"rates={tuple(self.rates)} asked for; each is the probability that a bit is flipped, above 0 and at most 1"
                )
        if len(set(self.rates)) < len(self.rates):
            raise FaultError(f"rates={tuple(self.rates)} asked for; give each rate once")
        if self.trials < 1:
            raise FaultError(f"trials={self.trials!r} asked for; give a number of draws from 1")
        if self.seed < 0:
            raise FaultError(f"seed={self.seed!r} asked for; give an integer from 0")

    @property
    def cells(self) -> list[Cell]:
        """Every draw, the highest rate first, where thresholds differ most."""
        return [
            Cell(rate, trial)
            for rate in sorted(self.rates, reverse=True)
            for trial in range(self.trials)
        ]


@final
class FaultyAccuracy:
    """Accuracy under draws of faults, of the model as it is at each call; the model is restored after each.

    Args:
        model: The model.
        accuracy: On held-out data.
        plan: Which faults.
        seen: Called after each draw that was measured.

    Attributes:
        cells: Every draw of the plan.
        samples: How many samples each draw is measured on.
    """

    def __init__(
        self, model: nn.Module, accuracy: Accuracy, plan: FaultPlan, seen: Callable[[], None]
    ) -> None:
        self._model, self._accuracy, self._plan, self._seen = model, accuracy, plan, seen
        self._empty: set[Cell] = set()
        self.cells, self.samples = plan.cells, accuracy.samples

    def correct(self, cell: Cell) -> int:
        """How many samples are right under this draw."""
        plan, fault = self._plan, BitFlip(rate=cell.rate)
        with inject(
            self._model, fault, plan.target, seed=plan.seed, trial=cell.trial, format=plan.format
        ) as record:
            found = self._accuracy.correct()
        if not len(record):
            self._empty.add(cell)
        self._seen()
        return found

    def is_empty(self, cell: Cell) -> bool:
        """Whether this draw is known to have no fault at all, so that what it gives is that of every other such draw."""
        return cell in self._empty
