"""What the processes of a distributed training have seen together."""

from collections.abc import Sequence

import torch
from torch import Tensor, distributed

from clipact.sparsity._held import Held

__all__ = ["share_of", "totals"]


def totals(held: Sequence[Held]) -> list[tuple[Tensor, Tensor]]:
    """Zeros and values of each activation over all processes, which afterwards also agree on its running deviation."""
    pairs = [(each.zeros, torch.full_like(each.zeros, each.values)) for each in held]
    if not (distributed.is_available() and distributed.is_initialized()):
        return pairs
    _agree(held)
    parts = iter(_summed([part for pair in pairs for part in pair]))
    return [(next(parts), next(parts)) for _ in pairs]


def share_of(counts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Zeros over values, of all activations together; NaN without values."""
    device = counts[0][0].device
    zeros = [zeros.sum().to(device) for zeros, _ in counts]
    values = [values.sum().to(device) for _, values in counts]
    return torch.stack(zeros).sum() / torch.stack(values).sum()


def _agree(held: Sequence[Held]) -> None:
    processes = distributed.get_world_size()
    summed = _summed([each.deviation for each in held])
    for each, total in zip(held, summed, strict=True):
        each.deviation = total / processes


def _summed(tensors: list[Tensor]) -> list[Tensor]:
    """Each tensor added up over all processes, in one message."""
    packed = torch.cat([tensor.reshape(-1) for tensor in tensors])
    distributed.all_reduce(packed)
    parts = packed.split([tensor.numel() for tensor in tensors])
    return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]
