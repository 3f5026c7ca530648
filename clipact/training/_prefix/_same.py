"""Whether two runs of a model gave the same."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["close", "same"]


def same(one: list[Any], other: list[Any]) -> bool:
    """Whether outputs are the same, tensors to the last bit."""
    return len(one) == len(other) and all(
        torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else type(a) is type(b)
        for a, b in zip(one, other, strict=True)
    )


def close(one: list[Tensor | None], other: list[Tensor | None]) -> bool:
    """Whether gradients are, as far as sums in another order can be."""
    return all(
        torch.allclose(a, b, rtol=1e-3) if a is not None and b is not None else a is b
        for a, b in zip(one, other, strict=True)
    )
