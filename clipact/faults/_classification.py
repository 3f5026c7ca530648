"""The evaluation of a classifier: accuracy, silent data corruption, detectable errors."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast, final

import torch
from torch import Tensor, nn

from clipact.errors import CampaignError
from clipact.faults._evaluation import Evaluation, GoldenRun, Metrics
from clipact.surgery import evaluating

_NO_PREDICTION = -1


@final
@dataclass(frozen=True)
class Classification(Evaluation):
    """Accuracy, SDC and DUE of a classifier on labelled batches.

    ``accuracy`` is the share of samples whose top-1 class is the label, ``sdc`` (silent data corruption) the share
    whose top-1 class differs from the golden run's, ``due`` (detectable error) the share whose output has a NaN or
    ±inf. They may overlap: a sample can be both SDC and DUE. A sample whose output has a NaN has no top-1 class, so
    it is wrong and differs from a golden one that has; with ±inf only, the top-1 class counts as usual.

    The model runs in eval mode without gradients; each module is in its own mode again afterwards.

    Args:
        loader: Batches ``(inputs, labels)``, the same in the same order every time: inputs a tensor or a mapping of
            keyword arguments, labels integers of shape ``(N,)``; the model's output is of shape ``(N, classes)``.
        device: Where inputs go; the device of the model's first parameter if None.

    Raises:
        CampaignError: When run: the loader is empty, its data is not that of the golden run (shuffled, augmented at
            random, used up), or batches or outputs have other shapes.

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
        return _GoldenClassification(self, seen, seen.metrics(seen))


@final
@dataclass(frozen=True, eq=False)
class _Seen:
    """One run: per sample the label, the top-1 class and whether the output is finite; a checksum per batch."""

    labels: Tensor
    top1: Tensor
    finite: Tensor
    checksums: tuple[float, ...]

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
    parts: list[tuple[Tensor, Tensor, Tensor, float]] = []
    with evaluating(model):
        for batch in evaluation.loader:
            inputs, labels = _split(batch)
            output = _output(model, inputs, device, len(labels))
            missing = output.isnan().any(dim=1)
            top1 = output.argmax(dim=1).masked_fill(missing, _NO_PREDICTION).cpu()
            finite = output.isfinite().all(dim=1).cpu()
            parts.append((labels.detach().cpu().long(), top1, finite, _checksum(inputs)))
    empty = torch.empty(0, dtype=torch.long)
    return _Seen(
        labels=torch.cat([empty, *(part[0] for part in parts)]),
        top1=torch.cat([empty, *(part[1] for part in parts)]),
        finite=torch.cat([empty.bool(), *(part[2] for part in parts)]),
        checksums=tuple(part[3] for part in parts),
    )


def _split(batch: Any) -> tuple[Tensor | Mapping[str, Any], Tensor]:
    if isinstance(batch, tuple | list) and len(batch) == 2:
        inputs, labels = cast("tuple[Any, Any]", tuple(batch))
        if (
            isinstance(inputs, Tensor | Mapping)
            and isinstance(labels, Tensor)
            and labels.dim() == 1
        ):
            return cast("Tensor | Mapping[str, Any]", inputs), labels
    raise CampaignError(
        f"a batch is a {type(batch).__name__} that is not (inputs, labels) with labels of shape (N,); give such pairs,"
        " or a function evaluate(model) of your own"
    )


def _output(
    model: nn.Module,
    inputs: Tensor | Mapping[str, Any],
    device: torch.device | str | None,
    samples: int,
) -> Tensor:
    if isinstance(inputs, Tensor):
        output = model(inputs.to(device))
    else:
        output = model(
            **{k: v.to(device) if isinstance(v, Tensor) else v for k, v in inputs.items()}
        )
    if isinstance(output, Tensor) and output.dim() == 2 and output.shape[0] == samples:
        return output
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    raise CampaignError(
        f"the model's output is {shape} for {samples} labels, not (N, classes); give the campaign a function"
        " evaluate(model) of your own"
    )


def _checksum(inputs: Tensor | Mapping[str, Any]) -> float:
    tensors = [inputs] if isinstance(inputs, Tensor) else list(inputs.values())
    sums = [float(t.sum(dtype=torch.float64)) for t in tensors if isinstance(t, Tensor)]
    return math.fsum(sums) if all(map(math.isfinite, sums)) else 0.0


def _share(hits: Tensor) -> float:
    return int(hits.sum()) / hits.numel()
