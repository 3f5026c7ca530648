"""The decays of one stage, from the strongest, until one keeps the accuracy."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn

from clipact.methods._slopes import Slope
from clipact.methods._trained._relative import mean_scale
from clipact.training import Stage
from clipact.training._descent import Descent
from clipact.training._fit import Epoch, Lesson, fit
from clipact.training._forwards import Forwards

__all__ = ["Attempt", "Bar", "Rung", "try_decay"]


@final
@dataclass(frozen=True)
class Bar:
    """What an attempt has to reach.

    Attributes:
        golden: Held-out samples classified correctly before any threshold was trained.
        allowed: How many fewer there may be.
        samples: Held-out samples.
    """

    golden: int
    allowed: int
    samples: int

    def passes(self, right: int) -> bool:
        """Whether so many correct samples are enough."""
        return self.golden - right <= self.allowed

    def drop(self, right: int) -> float:
        """How much of the accuracy is lost, as a share of all samples."""
        return (self.golden - right) / self.samples


class Rung(NamedTuple):
    """One stage at one decay.

    Attributes:
        stage: The thresholds that train.
        activations: The modules that have them.
        descent: How they move, its decay included.
        slope: How the activations fall.
    """

    stage: Stage
    activations: Sequence[nn.Module]
    descent: Descent
    slope: Slope


@final
@dataclass(frozen=True)
class Attempt:
    """What came out of one stage at one decay.

    Attributes:
        stage: Names of the thresholds.
        thresholds: How many values they have.
        decay: The weight decay.
        accuracy: On the held-out data, afterwards.
        drop: From the accuracy before the first stage.
        accepted: Whether the thresholds were kept.
        why: Why, in words.
        epochs: Passes over the training data.
        scale: Mean of the thresholds afterwards, relative to where they started.
        seconds: Time it took.
    """

    stage: str
    thresholds: int
    decay: float
    accuracy: float
    drop: float
    accepted: bool
    why: str
    epochs: int
    scale: float
    seconds: float

    def row(self) -> dict[str, Any]:
        """As a row of the history."""
        return dict(self.__dict__)


def try_decay(
    rung: Rung, lesson: Lesson, judge: Forwards, bar: Bar, after: Callable[[Epoch], bool]
) -> Attempt:
    """Train a stage at one decay; keep the thresholds if the accuracy holds, else put them back.

    They are also put back when the training raises.

    Args:
        rung: Stage and decay.
        lesson: What is learnt from.
        judge: The model with the held-out data.
        bar: What it has to reach there.
        after: Called after each epoch; True ends the training.

    Raises:
        TrainingError: The loss or a threshold is NaN or infinite.
    """
    began = time.monotonic()
    thresholds = rung.stage.parameters()
    before = [threshold.detach().clone() for threshold in thresholds]
    done = 0

    def count(epoch: Epoch) -> bool:
        nonlocal done
        done = epoch.number
        rung.slope.anneal(rung.activations, epoch.number / rung.descent.total)
        return after(epoch)

    accepted = False
    try:
        rung.slope.anneal(rung.activations, 0.0)
        fit(lesson, thresholds, rung.descent, count)
        rung.slope.anneal(rung.activations, 1.0)
        right = judge.right()
        accepted = bar.passes(right)
        scale = mean_scale(thresholds, before)
    finally:
        rung.slope.anneal(rung.activations, 1.0)
        if not accepted:
            _put_back(thresholds, before)
    return Attempt(
        ", ".join(rung.stage.names),
        sum(threshold.numel() for threshold in thresholds),
        rung.descent.decay,
        right / bar.samples,
        bar.drop(right),
        accepted,
        _reason(bar, right),
        done,
        scale,
        time.monotonic() - began,
    )


def _reason(bar: Bar, right: int) -> str:
    lost = bar.golden - right
    verdict = "within" if bar.passes(right) else "beyond"
    return f"{max(lost, 0)} of {bar.samples} images lost, {verdict} the {bar.allowed} allowed"


def _put_back(thresholds: Sequence[Tensor], before: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for threshold, old in zip(thresholds, before, strict=True):
            threshold.copy_(old)
