"""Train some thresholds of a model in which everything else stands still."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, final

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
        loss: Mean of the loss.
        state: What :func:`fit` needs to go on from here.
    """

    number: int
    loss: float
    state: Callable[[], dict[str, Any]] = field(compare=False, repr=False)


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
    resume: Mapping[str, Any] | None = None,
) -> None:
    """Train thresholds, one pass of the model a step.

    Args:
        lesson: What is learnt from; its model is :func:`~clipact.training._frozen.frozen`.
        thresholds: Those that move. Their values stay as they are when this returns or raises.
        descent: How they move.
        after: Called after each epoch; True ends the training.
        resume: State of an earlier call after an epoch, whose thresholds these are; what follows has the same bits.

    Raises:
        TrainingError: The loss of an epoch, or a threshold after it, is NaN or infinite.
    """
    chosen = list(thresholds)
    optimizer = descent.optimizer(chosen)
    generator = torch.Generator("cpu").manual_seed(lesson.seed)
    first = 0
    if resume is not None:
        first = int(resume["epoch"])
        optimizer.load_state_dict(resume["optimizer"])
        generator.set_state(resume["generator"])

    def state() -> dict[str, Any]:
        return {
            "epoch": number + 1,
            "optimizer": optimizer.state_dict(),
            "generator": generator.get_state(),
        }

    with training_only(chosen):
        for number in range(first, descent.total):
            order = torch.randperm(len(lesson.train), generator=generator, device="cpu").tolist()
            loss = _epoch(
                lesson, (chosen, optimizer), order, partial(descent.at, steps=len(order)), number
            )
            _check(number + 1, loss, chosen)
            if after(Epoch(number + 1, loss, state)):
                return


def _epoch(
    lesson: Lesson,
    moving: tuple[list[nn.Parameter], torch.optim.Optimizer],
    order: Sequence[int],
    rate: Callable[[int], float],
    number: int,
) -> float:
    """One pass over the batches in this order; the mean of the loss."""
    thresholds, optimizer = moving
    total = torch.zeros((), device=thresholds[0].device)
    for step, place in enumerate(order, number * len(order)):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.zero_grad()
        loss = lesson.loss(place, thresholds)
        loss.backward()
        optimizer.step()
        total += loss.detach()
    return float(total) / len(order)


def _check(epoch: int, loss: float, thresholds: Sequence[Tensor]) -> None:
    finite = all(bool(threshold.isfinite().all()) for threshold in thresholds)
    if not math.isfinite(loss) or not finite:
        what = "a threshold" if math.isfinite(loss) else "the loss"
        raise TrainingError(f"{what} became NaN or infinite in epoch {epoch}")
