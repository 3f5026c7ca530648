"""Train some thresholds of a model in which everything else stands still."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from clipact.errors import TrainingError
from clipact.training._descent import Descent
from clipact.training._forwards import Forwards
from clipact.training._frozen import training_only
from clipact.training._objective import Objective, Penalty
from clipact.training._teacher import beside

__all__ = ["Epoch", "Lesson", "fit"]


@final
@dataclass(frozen=True)
class Epoch:
    """A pass over the training data that is done.

    Attributes:
        number: Passes done.
        left: Passes to come.
        loss: Mean of the loss.
    """

    number: int
    left: int
    loss: float


@final
@dataclass(frozen=True)
class Lesson:
    """What is learnt from, and how.

    Attributes:
        train: The model and its training data.
        teacher: The teacher's logits, one a batch; None without a teacher.
        objective: Weights of the loss.
        penalty: What its weight ``penalty`` is a factor on.
        seed: Of the order of the batches in each epoch.
    """

    train: Forwards
    teacher: Sequence[Tensor] | None
    objective: Objective
    penalty: Penalty
    seed: int

    def loss(self, place: int, thresholds: Sequence[Tensor]) -> Tensor:
        """Of one batch: one pass of the model."""
        logits, labels = self.train.logits(place)
        said = None if self.teacher is None else beside(self.teacher[place], logits)
        loss = self.objective.loss(logits, labels, said)
        return loss + self.objective.penalty * self.penalty(thresholds)


def fit(
    lesson: Lesson,
    thresholds: Sequence[nn.Parameter],
    descent: Descent,
    after: Callable[[Epoch], bool],
) -> None:
    """Train thresholds, one pass of the model a step.

    Args:
        lesson: What is learnt from; its model is :func:`~clipact.training._frozen.frozen`.
        thresholds: Those that move. Their values stay as they are when this returns or raises.
        descent: How they move.
        after: Called after each epoch; True ends the training.

    Raises:
        TrainingError: The loss of an epoch, or a threshold after it, is NaN or infinite.
    """
    chosen = list(thresholds)
    optimizer = descent.optimizer(chosen)
    generator = torch.Generator().manual_seed(lesson.seed)
    steps = len(lesson.train)
    with training_only(chosen):
        for number in range(descent.total):
            order = torch.randperm(steps, generator=generator).tolist()
            total = torch.zeros((), device=chosen[0].device)
            for step, place in enumerate(order, number * steps):
                for group in optimizer.param_groups:
                    group["lr"] = descent.at(step, steps)
                optimizer.zero_grad()
                loss = lesson.loss(place, chosen)
                loss.backward()
                optimizer.step()
                total += loss.detach()
            epoch = Epoch(number + 1, descent.total - number - 1, float(total) / steps)
            _check(epoch, chosen)
            if after(epoch):
                return


def _check(epoch: Epoch, thresholds: Sequence[Tensor]) -> None:
    finite = all(bool(threshold.isfinite().all()) for threshold in thresholds)
    if not math.isfinite(epoch.loss) or not finite:
        what = "a threshold" if math.isfinite(epoch.loss) else "the loss"
        raise TrainingError(f"{what} became NaN or infinite in epoch {epoch.number}")
