"""Evaluations whose batches the campaign sees: each sample is judged, and a trial's metrics are means over samples."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass, replace
from hashlib import sha256
from typing import Any, final

import torch
from torch import Tensor, nn

from clipact.errors import CampaignError
from clipact.faults._evaluations._evaluation import Evaluation, GoldenRun, Metrics
from clipact.faults._evaluations._loading import Batch, Batches, placed
from clipact.surgery import evaluating

Judgement = Mapping[str, Tensor]


class BatchedEvaluation(Evaluation):
    """Runs a model over the batches of a loader and judges every sample against the golden run.

    Attributes:
        loader: Batches, the same in the same order every time.
        device: Where inputs go; the device of the model's first parameter if None.
    """

    loader: Iterable[Any]
    device: torch.device | str | None

    @abstractmethod
    def split(self, batch: Any) -> Batch:
        """Take a batch apart.

        Raises:
            CampaignError: It has another form.
        """

    @abstractmethod
    def reference(self, output: Any, batch: Batch) -> Any:
        """What later outputs for this batch are compared with, from the golden one.

        Raises:
            CampaignError: The output has another form.
        """

    @abstractmethod
    def judge(self, output: Any, batch: Batch, reference: Any) -> Judgement:
        """Metrics by name: of each sample, shape ``(N,)``, or one for the batch, shape ``()``."""

    def golden(self, model: nn.Module) -> "BatchedGolden":
        """Run the fault-free model over every batch."""
        batches = Batches(self.loader, self.split)
        samples = 0
        references: list[Any] = []
        means = _Means()
        with evaluating(model):
            for batch in batches:
                output = _forward(model, batch, self.device)
                references.append(self.reference(output, batch))
                means.add(self.judge(output, batch, references[-1]), batch.size)
                samples += batch.size
        if not samples:
            raise CampaignError("the loader gave no sample, so there is nothing to evaluate")
        digest = sha256(repr(batches.checksums).encode()).hexdigest()[:16]
        data = f"{samples} samples in {len(batches)} batches, {digest}"
        return BatchedGolden(self, batches, references, means.metrics(), data)


@final
class BatchedGolden(GoldenRun):
    """The golden run over batches.

    Attributes:
        sizes: Samples of each batch.
    """

    def __init__(
        self,
        evaluation: BatchedEvaluation,
        batches: Batches,
        references: list[Any],
        metrics: Metrics,
        data: str,
    ) -> None:
        self.metrics, self.data = metrics, data
        self._evaluation, self._batches, self._references = evaluation, batches, references
        self.sizes = tuple(batch.size for batch in batches)

    def evaluate(self, model: nn.Module) -> Metrics:
        """See :class:`GoldenRun`."""
        means = _Means()
        with evaluating(model):
            for batch, reference in zip(self._batches, self._references, strict=True):
                output = _forward(model, batch, self._evaluation.device)
                means.add(self._evaluation.judge(output, batch, reference), batch.size)
        return means.metrics()

    def judge(self, model: nn.Module, number: int) -> dict[str, list[float]]:
        """Run one batch and give each sample's metrics.

        Raises:
            CampaignError: The evaluation has one number for a whole batch.
        """
        batch = self._batches[number]
        with evaluating(model):
            output = _forward(model, batch, self._evaluation.device)
            found = self._evaluation.judge(output, batch, self._references[number])
        for name, values in found.items():
            if values.shape != (batch.size,):
                raise CampaignError(
                    f"the metric {name!r} has the shape {tuple(values.shape)} for {batch.size} samples; trials of one sample"
                    " each need a metric of shape (N,)"
                )
        return {name: values.double().tolist() for name, values in found.items()}

    def portable(self) -> BatchedEvaluation:
        """The evaluation with the batches themselves as its loader, if they are in memory; else as it was given."""
        kept = self._batches.kept
        if kept is None or not is_dataclass(self._evaluation):
            return self._evaluation
        return replace(self._evaluation, loader=kept)  # pyright: ignore[reportCallIssue] - every evaluation has a loader


@final
class _Means:
    """Means over samples, without waiting for the device before the end."""

    def __init__(self) -> None:
        self._sums: dict[str, list[Tensor]] = {}
        self._samples = 0

    def add(self, found: Judgement, size: int) -> None:
        for name, values in found.items():
            wide = values.detach().double()
            total = wide.sum() if wide.dim() else wide * size
            self._sums.setdefault(name, []).append(total)
        self._samples += size

    def metrics(self) -> Metrics:
        if not self._samples:
            return {}
        totals = [torch.stack(parts).sum() for parts in self._sums.values()]
        means = (torch.stack(totals) / self._samples).tolist() if totals else []
        return dict(zip(self._sums, means, strict=True))


def _forward(model: nn.Module, batch: Batch, device: torch.device | str | None) -> Any:
    if device is None:
        first = next(model.parameters(), None)
        device = None if first is None else first.device
    args, kwargs = placed(batch.inputs, device)
    return model(*args, **kwargs)
