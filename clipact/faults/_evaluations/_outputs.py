"""The evaluation of any model by a metric of its outputs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, TypeAlias, final

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from clipact.errors import CampaignError
from clipact.faults._evaluations._batched import BatchedEvaluation, Judgement
from clipact.faults._evaluations._batches import describe
from clipact.faults._evaluations._evaluation import RESERVED, check_names
from clipact.faults._evaluations._loading import Batch, split_inputs

Metric: TypeAlias = Callable[[Any, Any], Any]


@final
@dataclass(frozen=True)
class Outputs(BatchedEvaluation):
    """A metric of a model's outputs against its golden outputs, and DUE: for regression, segmentation, embeddings, text.

    ``due`` is the share of samples whose output has a NaN or ±inf: over all tensors among the output, taken by their first
    axis where that is the batch, of the whole batch elsewhere.

    Golden outputs of all batches are kept in memory. No labels are needed. The model runs in eval mode without gradients.

    Args:
        loader: Batches, the same in the same order every time: inputs (a tensor, or a mapping of keyword arguments), or
            ``(inputs, …)`` of which only the inputs are used.
        metric: ``metric(output, golden_output)``: a tensor of shape ``(N,)`` or ``()``, a number, or a mapping of names to
            these; a single one is called ``value``.
        device: Where inputs go; the device of the model's first parameter if None.

    Raises:
        CampaignError: When run: the loader is empty or its data is not the same twice, or the metric gives something else.

    Examples:
        >>> def distance(output, golden):
        ...     return (output - golden).abs().amax(dim=1)
        >>> golden = Outputs([torch.eye(3)], distance).golden(torch.nn.Identity())
        >>> golden.metrics, golden.evaluate(torch.nn.ReLU())
        ({'value': 0.0, 'due': 0.0}, {'value': 0.0, 'due': 0.0})
    """

    loader: Iterable[Any]
    metric: Metric
    device: torch.device | str | None = field(default=None, kw_only=True)

    def split(self, batch: Any) -> Batch:
        """See :class:`BatchedEvaluation`."""
        return split_inputs(batch)

    def reference(self, output: Any, batch: Batch) -> Any:
        """The output itself, copied: a model may write into it again."""
        del batch
        return pytree.tree_map_only(Tensor, torch.clone, output)

    def judge(self, output: Any, batch: Batch, reference: Any) -> Judgement:
        """See :class:`BatchedEvaluation`."""
        due = _not_finite(output, batch.size)
        found: Any = self.metric(output, reference)
        named: Any = found if isinstance(found, dict) else {"value": found}
        check_names("the metric", list(named), RESERVED | {"due"})
        judged = {str(name): _judged(name, value, batch.size) for name, value in named.items()}
        return judged | {"due": due}


def _judged(name: object, value: Any, size: int) -> Tensor:
    if not isinstance(value, Tensor | Real):
        raise CampaignError(
            f"the metric gave {describe(value)} for {name!r}; return a tensor of numbers, or a number"
        )
    tensor = value if isinstance(value, Tensor) else torch.as_tensor(value)
    if tensor.shape not in {torch.Size([]), torch.Size([size])} or tensor.is_complex():
        raise CampaignError(
            f"the metric gave {describe(tensor)} for {name!r} and {size} samples; return one number a sample, shape (N,), or"
            " one for the batch"
        )
    return tensor


def _not_finite(output: Any, size: int) -> Tensor:
    leaves = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor)]
    due = torch.zeros(size, dtype=torch.bool, device=leaves[0].device if leaves else None)
    for leaf in leaves:
        broken = ~leaf.isfinite()
        by_sample = leaf.dim() > 0 and leaf.shape[0] == size
        due = due | (
            broken.flatten(1).any(1)
            if by_sample and leaf.dim() > 1
            else broken
            if by_sample
            else broken.any()
        )
    return due
