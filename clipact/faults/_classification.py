"""The evaluation of a classifier: accuracy, silent data corruption, detected unrecoverable errors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn

from clipact.errors import CampaignError
from clipact.faults._batches import check_labels, checksum, checksum_inputs, describe, split
from clipact.faults._evaluation import Evaluation, GoldenRun, Metrics
from clipact.surgery import evaluating

_NO_PREDICTION = -1


@final
@dataclass(frozen=True)
class Classification(Evaluation):
    """Accuracy, SDC and DUE of a classifier on labelled batches.

    ``accuracy`` is the share of samples whose top-1 class is the label, ``sdc`` (silent data corruption) the share
    whose top-1 class differs from the golden run's, ``due`` (detected unrecoverable error) the share whose output
    has a NaN or ±inf. They may overlap: a sample can be both SDC and DUE. A sample whose output has a NaN has no top-1 class, so
    it is wrong and differs from a golden one that has; with ±inf only, the top-1 class counts as usual.

    The model runs in eval mode without gradients; each module is in its own mode again afterwards.

    Args:
        loader: Batches ``(inputs, labels)``, the same in the same order every time: inputs a tensor or a mapping of
            keyword arguments, labels integers from 0 of shape ``(N,)``; the model's output is of shape
            ``(N, classes)`` with two classes or more. The model gets a copy of the inputs.
        device: Where inputs go; the device of the model's first parameter if None.

    Raises:
        CampaignError: When run: the loader is empty, its data is not that of the golden run (shuffled, augmented at
            random, used up), batches or outputs have other shapes, or labels are not classes.

    Examples:
        >>> batches = [(torch.eye(3), torch.tensor([0, 1, 1]))]
        >>> Classification(batches).golden(nn.Identity()).metrics
        {'accuracy': 0.666..., 'sdc': 0.0, 'due': 0.0}
    """

    loader: Iterable[Any]
    device: torch.device | str | None = field(default=None, kw_only=True)

    def golden(self, model: nn.Module) -> GoldenRun:
        """Run the fault-free model."""
        seen = _run(self, model)
        if not seen.labels.numel():
            raise CampaignError("the loader gave no sample, so there is nothing to classify")
        samples = seen.labels.numel()
        data = f"{samples} samples with labels {checksum([seen.labels]):08x}"
        return _GoldenClassification(self, seen, seen.metrics(seen), data)


@final
@dataclass(frozen=True, eq=False)
class _Seen:
    """One run: per sample the label, the top-1 class and whether the output is finite; a checksum per batch."""

    labels: Tensor
    top1: Tensor
    finite: Tensor
    checksums: tuple[int, ...]

    def metrics(self, golden: "_Seen") -> Metrics:
        return {
            "accuracy": _share(self.top1 == self.labels),
            "sdc": _share(self.top1 != golden.top1),
            "due": _share(~self.finite),
        }


@final
@dataclass(frozen=True, eq=False)
class _GoldenClassification(GoldenRun):
    evaluation: Classification
    seen: _Seen
    metrics: Metrics
    data: str

    def evaluate(self, model: nn.Module) -> Metrics:
        now = _run(self.evaluation, model)
        if not torch.equal(now.labels, self.seen.labels):
            raise CampaignError(
                f"the loader gave {now.labels.numel()} labels that are not the {self.seen.labels.numel()} of the golden"
                " run in the same order; use shuffle=False, and a loader that can be run through again"
            )
        if now.checksums != self.seen.checksums:
            raise CampaignError(
                "the loader gave the labels of the golden run with other inputs; turn random augmentation and shuffling"
                " off"
            )
        return now.metrics(self.seen)


def _run(evaluation: Classification, model: nn.Module) -> _Seen:
    device = evaluation.device
    if device is None:
        first = next(model.parameters(), None)
        device = None if first is None else first.device
    parts: list[tuple[Tensor, Tensor, Tensor, int]] = []
    with evaluating(model):
        for batch in evaluation.loader:
            inputs, labels = split(batch)
            read = checksum_inputs(inputs)
            output = _output(model, inputs, device, len(labels))
            check_labels(labels, output.shape[1])
            missing = output.isnan().any(dim=1)
            top1 = output.argmax(dim=1).masked_fill(missing, _NO_PREDICTION).cpu()
            finite = output.isfinite().all(dim=1).cpu()
            parts.append((labels.detach().cpu().long(), top1, finite, read))
    empty = torch.empty(0, dtype=torch.long)
    return _Seen(
        labels=torch.cat([empty, *(part[0] for part in parts)]),
        top1=torch.cat([empty, *(part[1] for part in parts)]),
        finite=torch.cat([empty.bool(), *(part[2] for part in parts)]),
        checksums=tuple(part[3] for part in parts),
    )


def _output(
    model: nn.Module,
    inputs: Tensor | Mapping[str, Any],
    device: torch.device | str | None,
    samples: int,
) -> Tensor:
    if isinstance(inputs, Tensor):
        output = model(inputs.to(device, copy=True))
    else:
        moved = {
            k: v.to(device, copy=True) if isinstance(v, Tensor) else v for k, v in inputs.items()
        }
        output = model(**moved)
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


def _share(hits: Tensor) -> float:
    return int(hits.sum()) / hits.numel()
