"""Batches of labelled data: taken apart, checked, and recognised when they come again."""

import zlib
from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor

from clipact.errors import CampaignError


def split(batch: Any) -> tuple[Tensor | Mapping[str, Any], Tensor]:
    """Inputs and labels.

    Raises:
        CampaignError: It is not a pair of these.
    """
    if isinstance(batch, tuple | list) and len(batch) == 2:
        inputs, labels = cast("tuple[Any, Any]", tuple(batch))
        if (
            isinstance(inputs, Tensor | Mapping)
            and isinstance(labels, Tensor)
            and labels.dim() == 1
        ):
            return cast("Tensor | Mapping[str, Any]", inputs), labels
    raise CampaignError(
        f"a batch is {describe(batch)}, not (inputs, labels) with inputs a tensor or a mapping and labels of shape (N,);"
        " give such pairs, or a function evaluate(model) of your own"
    )


def describe(value: Any) -> str:
    """What a value is, for a message."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, tuple | list):
        parts = [describe(part) for part in cast("tuple[Any, ...]", tuple(value))[:4]]
        return f"a {type(value).__name__} of {len(value)}: {', '.join(parts)}"
    keys = f" of {', '.join(map(str, value))}" if isinstance(value, Mapping) else ""
    return f"a {type(value).__name__}{keys}"


def check_labels(labels: Tensor, classes: int) -> None:
    """Refuse labels that are not classes.

    Raises:
        CampaignError: They are not integers from 0 to ``classes - 1``.
    """
    if labels.is_floating_point() or labels.is_complex():
        raise CampaignError(
            f"labels are {labels.dtype}; give the integers of the classes, or a function evaluate(model) of your own"
        )
    if not labels.numel():
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise CampaignError(
            f"labels are from {low} to {high}, but the model has the classes 0 to {classes - 1}; drop samples without a"
            " class, or number the classes from 0"
        )


def tensors_of(inputs: Any) -> list[Tensor]:
    """Every tensor among a model's inputs."""
    if isinstance(inputs, Tensor):
        return [inputs]
    values: Iterable[Any] = inputs.values() if isinstance(inputs, Mapping) else inputs
    return [value for value in values if isinstance(value, Tensor)]


def checksum(tensors: Iterable[Tensor]) -> int:
    """Of shapes, types and every byte: what is in another order, or -inf for inf, is other data."""
    found = 0
    for tensor in tensors:
        dense = tensor.detach() if tensor.layout is torch.strided else tensor.detach().to_dense()
        flat = dense.cpu().resolve_conj().resolve_neg().contiguous().view(-1)
        found = zlib.crc32(f"{tuple(tensor.shape)} {tensor.dtype}".encode(), found)
        words: Any = flat.view(torch.uint8).numpy()
        found = zlib.crc32(words, found)
    return found
