"""How long stages take, measured on one batch."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, final

import torch

from clipact.methods._trained._rules import Rules
from clipact.methods._trained._session import Session
from clipact.training import Stage
from clipact.training._fit import Lesson
from clipact.training._forwards import Forwards
from clipact.training._frozen import training_only
from clipact.training._prefix import Memory, prefix_of

__all__ = ["Cost", "measure"]


@final
@dataclass(frozen=True)
class Cost:
    """Of one stage.

    Attributes:
        once: Seconds for what is computed once.
        decay: Seconds for one decay, all its epochs.
    """

    once: float
    decay: float

    @property
    def seconds(self) -> float:
        """Of the stage, if its first decay is accepted."""
        return self.once + self.decay

    @classmethod
    def even(cls, _stage: Stage) -> Self:
        """Any stage, if nobody wants to know."""
        return cls(0.0, 1.0)


def measure(session: Session, stage: Stage, lesson: Lesson, rules: Rules) -> Cost:
    """Time the first batch, forward and backward.

    Args:
        session: The model with its activations and data.
        stage: Which thresholds train.
        lesson: On the first batch.
        rules: What stages are trained by.
    """
    train, held_out = len(session.sets.train), len(session.sets.validate)
    first = session.sets.train[:1]
    thresholds = stage.parameters()
    with prefix_of(session.model, thresholds, rules.cache) as prefix, training_only(thresholds):
        short = Forwards(session.model, first, Memory(prefix))
        short.logits(0)  # tries the model out and records
        quick = Lesson(short, lesson.teacher, lesson.objective, lesson.penalty, lesson.seed)
        step = _seconds(lambda: torch.autograd.grad(quick.loss(0, thresholds), thresholds))
        with torch.no_grad():
            judged = _seconds(lambda: short.logits(0))
            whole = _seconds(lambda: lesson.train.logits(0))
    epochs = rules.descent(stage).total
    looks = 1 if rules.early is None else epochs
    return Cost(
        once=whole * (train + held_out), decay=epochs * train * step + looks * held_out * judged
    )


def _seconds(compute: Callable[[], Any]) -> float:
    """The shorter of two times, the device waited for."""
    times: list[float] = []
    for _ in range(2):
        _wait()
        began = time.perf_counter()
        compute()
        _wait()
        times.append(time.perf_counter() - began)
    return min(times)


def _wait() -> None:
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
