"""Accuracy of a classifier on held-out data that is read once."""

from collections.abc import Mapping, Sequence
from typing import Any, cast, final

import torch
from torch import Tensor, nn

from clipact.calibration import Batch, Batches, peek, run, to_device_of
from clipact.errors import CalibrationError, ThresholdError
from clipact.methods._samples import sample_digests
from clipact.methods._search._labelled import Labelled, first, split
from clipact.surgery import evaluating

_NO_CLASS = -1


@final
class Accuracy:
    """The share of held-out samples whose largest logit is their label's; call it as often as wanted.

    A sample whose logits have a NaN has no class, so it is wrong. Made by :func:`held_out`.

    Args:
        model: The classifier, evaluated as it is at each call.
        batches: Held-out batches on the model's device.
        who: The method that asks, for error messages.

    Attributes:
        samples: How many there are.
        who: The method that asks.
    """

    def __init__(self, model: nn.Module, batches: Sequence[Labelled], who: str) -> None:
        self.samples = sum(batch.labels.shape[0] for batch in batches)
        self.who = who
        self._model, self._batches = model, batches

    def __call__(self) -> float:
        """Accuracy of the model as it is now, from 0 to 1."""
        return self.correct() / self.samples

    def correct(self) -> int:
        """How many samples the model gets right as it is now."""
        with evaluating(self._model):
            right = [
                (_top1(_logits(self._model, batch, self.who)) == batch.labels).sum()
                for batch in self._batches
            ]
        return int(torch.stack(right).sum())

    def digests(self) -> list[bytes]:
        """One of the inputs of each sample."""
        return [
            digest
            for inputs, labels in self._batches
            for digest in sample_digests(inputs, len(labels))
        ]

    def on_first(self, samples: int | None) -> "Accuracy":
        """The accuracy on the first so many samples; on all of them if there are fewer, or for None."""
        if samples is None or samples >= self.samples:
            return self
        part: list[Labelled] = []
        for batch in self._batches:
            if samples > 0:
                part.append(first(batch, samples))
                samples -= part[-1].labels.shape[0]
        return Accuracy(self._model, part, self.who)


def check_samples(samples: int | None) -> None:
    """Refuse a number of samples that is none.

    Raises:
        ThresholdError: It is below 1 or not whole.
    """
    if samples is not None and (samples % 1 != 0 or samples < 1):
        raise ThresholdError(
            f"samples={samples} asked for; give a number of held-out samples from 1, or None for all"
        )


def held_out(model: nn.Module, train: Batches, batches: Batches | None, who: str) -> Accuracy:
    """Read held-out batches once; every later evaluation has the same.

    A batch is ``(inputs, labels)``, or a mapping that holds ``labels``; the model gives logits ``(N, classes)``, or
    something with ``.logits``, a mapping with ``"logits"``, or a tuple that begins with them.

    Raises:
        CalibrationError: No data, the training data, no labels, or labels that are no classes of the model.
    """
    if batches is train:
        raise CalibrationError(
            f"{who} was given the same data to calibrate and to validate; hold some of it back, since thresholds from the data"
            " that they are judged by cost it no accuracy"
        )
    if batches is None:
        raise CalibrationError(
            f"{who} measures accuracy on held-out data, and protect() got none; call protect(model, method, train, validate)"
            " with batches (inputs, labels) that the model was not trained on"
        )
    try:
        _, stream = peek(batches)
    except CalibrationError:
        raise CalibrationError(
            f"{who} got an empty validation set: no batch came out of it (a generator can be used only once)"
        ) from None
    found = [_labelled(model, batch, who) for batch in stream]
    found = [batch for batch in found if batch.labels.shape[0]]
    if not found:
        raise CalibrationError(f"{who} got a validation set of batches without samples")
    with evaluating(model):
        _check(_logits(model, found[0], who), found, who)
    return Accuracy(model, found, who)


def _labelled(model: nn.Module, batch: Batch, who: str) -> Labelled:
    inputs, labels = split(batch)
    if labels is None:
        raise CalibrationError(
            f"{who} measures accuracy, but a batch of validate is a {type(batch).__name__} without labels of shape (N,);"
            " give batches (inputs, labels), or mappings with 'labels'"
        )
    if labels.is_floating_point() or labels.is_complex():
        raise CalibrationError(
            f"{who} got labels of {labels.dtype}; give the integers of the classes"
        )
    placed = cast("Mapping[str, Any]", to_device_of(model, {"labels": labels}))
    return Labelled(to_device_of(model, inputs), placed["labels"])


def _logits(model: nn.Module, batch: Labelled, who: str) -> Tensor:
    output = run(model, batch.inputs)
    found: Any = output if isinstance(output, Tensor) else getattr(output, "logits", None)
    if found is None and isinstance(output, Mapping):
        found = cast("Mapping[str, Any]", output).get("logits")
    elif found is None and isinstance(output, tuple) and output:
        found = cast("tuple[Any, ...]", output)[0]
    if (
        not isinstance(found, Tensor)
        or found.dim() != 2
        or found.shape[0] != batch.labels.shape[0]
        or found.shape[1] < 2
    ):
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(output).__name__
        raise CalibrationError(
            f"{who} measures the accuracy of a classifier, but the model's output is {shape} for {batch.labels.shape[0]} labels;"
            " it needs logits of shape (N, classes)"
        )
    return found


def _check(logits: Tensor, batches: list[Labelled], who: str) -> None:
    labels = torch.cat([batch.labels for batch in batches])
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= logits.shape[1]:
        raise CalibrationError(
            f"{who} got labels from {low} to {high}, but the model has the classes 0 to {logits.shape[1] - 1}; number the"
            " classes from 0"
        )


def _top1(logits: Tensor) -> Tensor:
    return logits.argmax(dim=1).masked_fill(logits.isnan().any(dim=1), _NO_CLASS)
