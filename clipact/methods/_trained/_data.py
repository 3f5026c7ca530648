"""The data that thresholds are trained on, and the held-out data that they are judged on."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from clipact.calibration import Batches
from clipact.errors import TrainingError
from clipact.methods._samples import sample_digests
from clipact.training._labelled import Labelled, labelled

__all__ = ["Sets", "read_sets"]


class Sets(NamedTuple):
    """Training and held-out data, each a sequence of batches."""

    train: tuple[Labelled, ...]
    validate: tuple[Labelled, ...]

    @property
    def inputs(self) -> list[Tensor | Mapping[str, Any]]:
        """What calibration goes through: the training data without its labels."""
        return [batch.inputs for batch in self.train]


def read_sets(method: str, train: Batches, validate: Batches | None) -> Sets:
    """Go through both loaders once, and see that the one is no part of the other.

    Raises:
        TrainingError: There is no held-out data, it is the training data, or one of them is empty or without labels.
    """
    if validate is None:
        raise TrainingError(
            f"{method} needs held-out data to judge thresholds by: protect(model, {method}(), train, validate), with data that"
            " is neither in train nor in the test set"
        )
    if validate is train:
        raise TrainingError(
            f"{method} was given the same data to train and to validate; hold some of it back, since accuracy on the data"
            " that thresholds were trained on says little"
        )
    sets = Sets(labelled(train, "training"), labelled(validate, "validation"))
    seen = set(_samples(sets.train))
    held_out = list(_samples(sets.validate))
    if held_out and all(sample in seen for sample in held_out):
        raise TrainingError(
            f"all {len(held_out)} samples that {method} was given to validate with are among its training data; hold some data"
            " back, since accuracy on the data that thresholds were trained on says little"
        )
    return sets


def _samples(batches: Sequence[Labelled]) -> list[bytes]:
    """A digest of the inputs of each sample."""
    return [
        digest for batch in batches for digest in sample_digests(batch.inputs, len(batch.labels))
    ]
