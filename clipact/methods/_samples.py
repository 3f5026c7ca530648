"""Samples known again by what is in them."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

__all__ = ["sample_digests"]


def sample_digests(inputs: Tensor | Mapping[str, Any], size: int) -> list[bytes]:
    """A digest of the inputs of each sample; none where there is no dense tensor among them.

    Args:
        inputs: Of a batch.
        size: How many samples it has.
    """
    tensors = [inputs] if isinstance(inputs, Tensor) else [*inputs.values()]
    dense = [each for each in tensors if isinstance(each, Tensor) and each.layout is torch.strided]
    if not dense:
        return []
    whole = [tensor.detach().cpu().resolve_conj().resolve_neg() for tensor in dense]
    rows = [tensor for tensor in whole if tensor.dim() and len(tensor) == size]
    if not rows:  # the samples are counted by another axis
        return [_digest(whole) + bytes([sample % 256]) for sample in range(size)]
    return [_digest([row[sample] for row in rows]) for sample in range(size)]


def _digest(tensors: Sequence[Tensor]) -> bytes:
    digest = blake2b(digest_size=16)
    for tensor in tensors:
        plain = tensor.contiguous().reshape(-1)
        digest.update(plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b"")
    return digest.digest()
