"""What the training of thresholds makes small."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

import torch
import torch.nn.functional as F
from torch import Tensor

from clipact.errors import TrainingError

__all__ = ["Objective", "Penalty", "mean_square"]

Penalty: TypeAlias = Callable[[Sequence[Tensor]], Tensor]


@final
@dataclass(frozen=True)
class Objective:
    r"""Cross-entropy with the labels and with a teacher, and a penalty that keeps thresholds small.

    .. math:: L = a\,\mathrm{CE}(z, y) + b\,\mathrm{CE}(z, \mathrm{softmax}(z_t)) + c\,\overline{T^2}

    with the logits :math:`z` of the model and :math:`z_t` of its teacher. The defaults are ProAct's.

    Attributes:
        labels: Weight :math:`a` of the labels.
        teacher: Weight :math:`b` of the teacher; 0 for none.
        penalty: Weight :math:`c` of the mean squared threshold.

    Raises:
        TrainingError: A weight is negative or not finite, or all that depends on the model is 0.
    """

    labels: float = 0.8
    teacher: float = 0.1
    penalty: float = 4e-8

    def __post_init__(self) -> None:
        weights = (self.labels, self.teacher, self.penalty)
        if not all(0 <= weight < float("inf") for weight in weights) or not any(weights[:2]):
            raise TrainingError(
                f"{self} asked for; weights are at least 0 and finite, and that of the labels or of the teacher is above 0"
            )

    def loss(self, logits: Tensor, labels: Tensor, teacher: Tensor | None) -> Tensor:
        """The part that depends on the model, in float32 at least.

        Args:
            logits: ``(N, classes)``.
            labels: ``(N,)``.
            teacher: The teacher's logits ``(N, classes)``, or None where its weight is 0.
        """
        wide = torch.promote_types(logits.dtype, torch.float32)
        total = self.labels * F.cross_entropy(logits.to(wide), labels)
        if teacher is not None:
            soft = teacher.to(wide).softmax(1)
            total = total + self.teacher * F.cross_entropy(logits.to(wide), soft)
        return total


def mean_square(thresholds: Sequence[Tensor]) -> Tensor:
    """ProAct's penalty: the mean squared threshold, over all that train."""
    return torch.stack([threshold.square().mean() for threshold in thresholds]).mean()
