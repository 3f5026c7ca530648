"""The evaluation of a classifier: accuracy, silent data corruption, detected unrecoverable errors."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from clipact.errors import CampaignError
from clipact.faults._evaluations._batched import BatchedEvaluation, Judgement
from clipact.faults._evaluations._batches import check_labels, describe, split
from clipact.faults._evaluations._loading import Batch

_NO_PREDICTION = -1


@final
@dataclass(frozen=True)
class Classification(BatchedEvaluation):
    """Accuracy, SDC and DUE of a classifier on labelled batches.

    ``accuracy`` is the share of samples whose top-1 class is the label, ``sdc`` (silent data corruption) the share
    whose top-1 class differs from the golden run's, ``due`` (detected unrecoverable error) the share whose output
    has a NaN or ±inf. They may overlap: a sample can be both SDC and DUE. A sample whose output has a NaN has no top-1 class, so
    it is wrong and differs from a golden one that has; with ±inf only, the top-1 class counts as usual.

    With a ``margin`` each SDC is also ``critical`` or ``tolerable``: critical where the new top-1 class leads the golden one
    by more than the margin in softmax probability, so that a threshold on confidence would not notice, or where there is no
    top-1 class; tolerable otherwise.

    The model runs in eval mode without gradients; each module is in its own mode again afterwards.

    Args:
        loader: Batches ``(inputs, labels)``, the same in the same order every time: inputs a tensor or a mapping of
            keyword arguments, labels integers from 0 of shape ``(N,)``; the model's output is of shape
            ``(N, classes)`` with two classes or more. The model gets a copy of the inputs. Up to 1 GiB of batches is
            read once and kept in memory.
        device: Where inputs go; the device of the model's first parameter if None.
        margin: Least lead of a critical SDC in softmax probability, from 0 to 1; None to tell no difference.

    Raises:
        CampaignError: When run: the loader is empty, its data is not the same twice (shuffled, augmented at
            random), batches or outputs have other shapes, or labels are not classes; at once: a margin out of range.

    Examples:
        >>> batches = [(torch.eye(3), torch.tensor([0, 1, 1]))]
        >>> Classification(batches).golden(torch.nn.Identity()).metrics
        {'accuracy': 0.666..., 'sdc': 0.0, 'due': 0.0}
    """

    loader: Iterable[Any]
    device: torch.device | str | None = field(default=None, kw_only=True)
    margin: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        margin: Any = self.margin
        if margin is not None and not (isinstance(margin, int | float) and 0.0 <= margin <= 1.0):
            raise CampaignError(
                f"margin={margin!r}: give a lead in probability from 0 to 1, as margin=0.2, or None"
            )

    def split(self, batch: Any) -> Batch:
        """See :class:`BatchedEvaluation`."""
        return Batch(*split(batch))

    def reference(self, output: Any, batch: Batch) -> Tensor:
        """The top-1 classes."""
        logits = _logits(output, batch)
        check_labels(_labels(batch), logits.shape[1])
        return _top1(logits)

    def judge(self, output: Any, batch: Batch, reference: Tensor) -> Judgement:
        """See :class:`BatchedEvaluation`."""
        logits = _logits(output, batch)
        top1 = _top1(logits)
        sdc = top1 != reference
        found = {
            "accuracy": top1 == _labels(batch).to(top1.device),
            "sdc": sdc,
            "due": ~logits.isfinite().all(dim=1),
        }
        if self.margin is not None:
            critical = sdc & ~(_lead(logits, top1, reference) <= self.margin)
            found |= {"critical": critical, "tolerable": sdc & ~critical}
        return found


def _top1(logits: Tensor) -> Tensor:
    return logits.argmax(dim=1).masked_fill(logits.isnan().any(dim=1), _NO_PREDICTION)


def _lead(logits: Tensor, top1: Tensor, golden: Tensor) -> Tensor:
    """By how much the top-1 class leads the golden one in probability; NaN where either is none."""
    wide = logits.double()
    largest = wide.amax(dim=1, keepdim=True)
    # with +inf among the logits, the infinite classes share the probability
    shifted = torch.where(largest.isinf(), (wide == largest).double().log(), wide - largest)
    probability = shifted.softmax(dim=1)
    pair = torch.stack([top1, golden], dim=1)
    lead = probability.gather(1, pair.clamp_min(0)).diff(dim=1).neg().squeeze(1)
    return lead.masked_fill((pair < 0).any(dim=1), torch.nan)


def _labels(batch: Batch) -> Tensor:
    assert batch.labels is not None
    return batch.labels


def _logits(output: Any, batch: Batch) -> Tensor:
    samples = batch.size
    if not isinstance(output, Tensor) or output.dim() != 2 or output.shape[0] != samples:
        raise CampaignError(
            f"the model's output is {describe(output)} for {samples} labels, not a tensor (N, classes); give the campaign a"
            " function evaluate(model) of your own, which picks the logits"
        )
    if output.shape[1] < 2:
        raise CampaignError(
            f"the model's output has the shape {tuple(output.shape)}, and the top-1 of fewer than two classes says nothing;"
            " give the campaign a function evaluate(model) of your own, such as one with a threshold on the logit"
        )
    return output
