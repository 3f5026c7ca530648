"""What is observed: an evaluation measures the golden run, and then each run with faults against it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias, final

from torch import nn

from clipact.errors import CampaignError
from clipact.surgery import evaluating

Metrics: TypeAlias = Mapping[str, float]
Evaluate: TypeAlias = Callable[[nn.Module], float | Metrics]

_COLUMNS = 1000  # as many as a store holds, with room to spare

RESERVED = frozenset({"trial", "fault", "seconds", "flips", "error"})


class GoldenRun(ABC):
    """The fault-free run, and what later runs are compared with.

    Attributes:
        metrics: Of the fault-free run.
        data: What was evaluated, in words, for comparisons with other runs; empty if that is not known.
    """

    metrics: Metrics
    data: str = ""

    @abstractmethod
    def evaluate(self, model: nn.Module) -> Metrics:
        """The same metrics for the model as it is now.

        Raises:
            CampaignError: The data is not that of the golden run.
        """


class Evaluation(ABC):
    """Something that a campaign can run on a model."""

    @abstractmethod
    def golden(self, model: nn.Module) -> GoldenRun:
        """Run the fault-free model."""


@final
class CallableEvaluation(Evaluation):
    """A user's function of the model; a number is called ``value``."""

    def __init__(self, evaluate: Evaluate) -> None:
        self._evaluate = evaluate

    def golden(self, model: nn.Module) -> GoldenRun:
        """See :class:`Evaluation`."""
        return _CallableGolden(self._evaluate, self._metrics(model))

    def _metrics(self, model: nn.Module) -> Metrics:
        return _call(self._evaluate, model)


@final
@dataclass(frozen=True)
class _CallableGolden(GoldenRun):
    function: Evaluate
    metrics: Metrics

    def evaluate(self, model: nn.Module) -> Metrics:
        found = _call(self.function, model)
        if found.keys() != self.metrics.keys():
            raise CampaignError(
                f"the evaluation gave {sorted(found)} where the golden run gave {sorted(self.metrics)}; return the same"
                " names every time"
            )
        return found


def _call(function: Evaluate, model: nn.Module) -> Metrics:
    with evaluating(model):
        found: Any = function(model)
    named: Any = found if isinstance(found, Mapping) else {"value": found}
    check_names("the evaluation", list(named))
    return {str(name): _number(name, value) for name, value in named.items()}


def check_names(who: str, given: Sequence[object], reserved: Collection[str] = RESERVED) -> None:
    """Refuse names of metrics that cannot be columns.

    Raises:
        CampaignError: They are too many, not text that can be written down, twice the same, or those of other columns.
    """
    names = [str(name) for name in given]
    if len(names) > _COLUMNS:
        raise CampaignError(f"{who} gave {len(names):,} metrics; give at most {_COLUMNS:,}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CampaignError(f"{who} gave {twice} twice, of different types; rename them")
    if odd := [name for name in names if not name.isprintable() or not name]:
        raise CampaignError(f"{who} gave the names {odd}; give printable ones")
    if taken := sorted(set(reserved) & set(names)):
        raise CampaignError(
            f"{who} gave {taken}, which are columns of the result already; rename them"
        )


def _number(name: object, value: Any) -> float:
    if isinstance(value, Real) or (hasattr(value, "numel") and value.numel() == 1):
        return float(value)
    raise CampaignError(
        f"the evaluation gave a {type(value).__name__} for {name!r}; return a number, or a mapping of names to numbers"
    )
