"""Held-out data that is no part of the training data."""

from collections.abc import Iterator

from torch import Tensor

from clipact.calibration import Batch, Batches, peek
from clipact.errors import CalibrationError
from clipact.methods._samples import sample_digests
from clipact.methods._search._accuracy import Accuracy
from clipact.methods._search._labelled import split

__all__ = ["apart"]


def apart(train: Batches, accuracy: Accuracy) -> Iterator[Batch]:
    """The training data as it is, for calibration to go through; behind its last batch the held-out data is looked at.

    Training data is read only once, and calibration comes before anything is changed in the model.

    Raises:
        CalibrationError: There is no training data, or all held-out samples were in it.
    """
    held_out = set(accuracy.digests())
    unseen = set(held_out)
    for batch in peek(train)[1]:
        unseen.difference_update(_digests(batch))
        yield batch
    if held_out and not unseen:
        raise CalibrationError(
            f"all {accuracy.samples} samples that {accuracy.who} was given to validate with are among its training data; hold"
            " some data back, since thresholds from the data that they are judged by cost it no accuracy"
        )


def _digests(batch: Batch) -> list[bytes]:
    inputs, labels = split(batch)
    if labels is None:  # calibration needs none
        tensors = [inputs] if isinstance(inputs, Tensor) else [*inputs.values()]
        sizes = [len(each) for each in tensors if isinstance(each, Tensor) and each.dim()]
        return sample_digests(inputs, max(sizes, default=0))
    return sample_digests(inputs, len(labels))
