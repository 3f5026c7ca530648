"""What is observed: an evaluation measures the golden run, and then each run with faults against it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias, final

from torch import nn

from clipact.errors import CampaignError
from clipact.surgery import evaluating

Metrics: TypeAlias = Mapping[str, float]
Evaluate: TypeAlias = Callable[[nn.Module], float | Metrics]

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
    metrics = {str(name): _number(name, value) for name, value in named.items()}
    if taken := RESERVED & metrics.keys():
        raise CampaignError(
            f"the evaluation gave {sorted(taken)}, which are columns of the result; rename them"
        )
    return metrics


def _number(name: object, value: Any) -> float:
    if isinstance(value, Real) or (hasattr(value, "numel") and value.numel() == 1):
        return float(value)
    raise CampaignError(
        f"the evaluation gave a {type(value).__name__} for {name!r}; return a number, or a mapping of names to numbers"
    )
