"""One stage at one decay."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn

from clipact.methods._early import Early
from clipact.methods._slopes import Slope
from clipact.methods._trained._foresight import Foresight
from clipact.methods._trained._relative import mean_scale
from clipact.training import Descent, Stage
from clipact.training._fit import Epoch, Lesson, fit
from clipact.training._forwards import Forwards

__all__ = ["Attempt", "Bar", "Rung", "put", "try_decay", "values_of"]


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


@final
class Rung(NamedTuple):
    """One stage at one decay.

    Attributes:
        stage: The thresholds that train.
        activations: The modules that have them.
        descent: How they move, its decay included.
        slope: How the activations fall.
        early: When the training may end before its time; None for never.
    """

    stage: Stage
    activations: Sequence[nn.Module]
    descent: Descent
    slope: Slope
    early: Early | None


@final
@dataclass(frozen=True)
class Attempt:
    """What came out of one stage at one decay.

    Attributes:
        stage: Names of the thresholds.
        thresholds: How many values they have.
        decay: The weight decay.
        accuracy: On the held-out data, afterwards.
        drop: From the accuracy before the first stage, as a share of all held-out samples.
        accepted: Whether the accuracy is enough.
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
        return asdict(self)


def try_decay(
    rung: Rung, lesson: Lesson, judge: Forwards, bar: Bar, after: Callable[[Epoch], None]
) -> tuple[Attempt, list[Tensor]]:
    """Train a stage at one decay, and put its thresholds back.

    Args:
        rung: Stage and decay.
        lesson: What is learnt from.
        judge: The model with the held-out data.
        bar: What it has to reach there.
        after: Called after each epoch.

    Returns:
        What came out, and the trained thresholds.

    Raises:
        TrainingError: The loss or a threshold is NaN or infinite.
    """
    began = time.monotonic()
    thresholds = rung.stage.parameters()
    before = values_of(thresholds)
    foresight = Foresight(rung, judge, bar, len(lesson.train))
    epochs = 0

    def ends(epoch: Epoch) -> bool:
        nonlocal epochs
        epochs = epoch.number
        done = epoch.number / rung.descent.total
        rung.slope.anneal(rung.activations, 1.0)
        verdict = foresight.ends(epoch.number)
        rung.slope.anneal(rung.activations, done)
        after(epoch)
        return verdict

    try:
        rung.slope.anneal(rung.activations, 0.0)
        fit(lesson, thresholds, rung.descent, ends)
        rung.slope.anneal(rung.activations, 1.0)
        right = judge.right()
        trained = values_of(thresholds)
    finally:
        rung.slope.anneal(rung.activations, 1.0)
        put(thresholds, before)
    attempt = Attempt(
        ", ".join(rung.stage.names),
        sum(threshold.numel() for threshold in thresholds),
        rung.descent.decay,
        right / bar.samples,
        (bar.golden - right) / bar.samples,
        bar.passes(right),
        _reason(bar, right, foresight.hopeless),
        epochs,
        mean_scale(trained, before),
        time.monotonic() - began,
    )
    return attempt, trained


def values_of(thresholds: Sequence[Tensor]) -> list[Tensor]:
    """Copies of their values."""
    return [threshold.detach().clone() for threshold in thresholds]


def put(thresholds: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Give thresholds these values."""
    with torch.no_grad():
        for threshold, value in zip(thresholds, values, strict=True):
            threshold.copy_(value)


def _reason(bar: Bar, right: int, hopeless: bool) -> str:  # noqa: FBT001 - one of two ends
    lost = max(bar.golden - right, 0)
    if hopeless:
        return f"{lost} of {bar.samples} lost, {bar.allowed} allowed, and no way back"
    verdict = "within" if bar.passes(right) else "beyond"
    return f"{lost} of {bar.samples} lost, {verdict} the {bar.allowed} allowed"
