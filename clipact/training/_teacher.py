"""What the teacher says about the training data, asked once."""

from collections.abc import Sequence

from torch import Tensor, nn

from clipact.calibration import run
from clipact.errors import TrainingError
from clipact.surgery import evaluating
from clipact.training._labelled import Labelled
from clipact.training._logits import logits_of

__all__ = ["check_teacher", "teacher_logits"]


def teacher_logits(teacher: nn.Module, batches: Sequence[Labelled]) -> list[Tensor]:
    """The teacher's logits of every batch, on its device; in eval mode and without gradients.

    Args:
        teacher: Any classifier, handed back as it was.
        batches: The training data.
    """
    with evaluating(teacher):
        return [
            logits_of(run(teacher, batch.beside(teacher).inputs), "the teacher").clone()
            for batch in batches
        ]


def check_teacher(teacher: nn.Module, model: nn.Module, first: Labelled) -> None:
    """Refuse a teacher that does not speak of the same classes.

    Raises:
        TrainingError: Its logits have another shape than the model's.
    """
    with evaluating(model):
        ours = logits_of(run(model, first.beside(model).inputs))
    theirs = teacher_logits(teacher, [first])[0]
    if ours.shape != theirs.shape:
        raise TrainingError(
            f"the teacher ({type(teacher).__name__}) gives logits of shape {tuple(theirs.shape)} where the model gives"
            f" {tuple(ours.shape)}; a teacher tells the same classes apart, in the same order"
        )


def beside(logits: Tensor, other: Tensor) -> Tensor:
    """The teacher's logits on the device and in the dtype of the student's."""
    return logits.to(other.device, other.dtype, non_blocking=True)
