"""The bit error rate at which faults begin to matter."""

from dataclasses import replace

from torch import nn

from clipact.errors import FaultError
from clipact.faults import population
from clipact.methods._search._accuracy import Accuracy
from clipact.methods._search._trials import Cell, FaultPlan, FaultyAccuracy

_FIRST = 4.0  # expected flips a draw where the search begins
_STEP = 1.5
_HIGHEST = 0.1


def harmful_rate(model: nn.Module, accuracy: Accuracy, plan: FaultPlan, lost: float) -> float:
    """The first rate, of those that grow by half, at which the mean accuracy is ``lost`` below that without faults.

    Raises:
        FaultError: None up to 0.1 is.
    """
    clean = accuracy()
    rate = _FIRST / population(model, plan.target, format=plan.format)
    while rate <= _HIGHEST:
        here = replace(plan, rates=(rate,))
        faulty = FaultyAccuracy(model, accuracy, here, lambda: None)
        right = sum(faulty.correct(Cell(rate, trial)) for trial in range(plan.trials))
        if right / (plan.trials * accuracy.samples) <= clean - lost:
            return float(f"{rate:.2g}")
        rate *= _STEP
    raise FaultError(
        f"no bit error rate up to {_HIGHEST} loses {lost} of accuracy, so there is nothing to tune ranges by; give rates="
    )
