"""What surrounds a forward and decides how it computes: modes of torch and of the model's modules."""

from collections.abc import Iterable
from typing import Any, Final

import torch
from torch import nn

__all__ = ["surroundings"]

_DEVICES: Final = ("cpu", "cuda")


def surroundings(modules: Iterable[nn.Module]) -> tuple[Any, ...]:
    """Gradient, inference and autocast modes, numerical settings, threads, and the mode of each module."""
    casts = [(torch.is_autocast_enabled(d), torch.get_autocast_dtype(d)) for d in _DEVICES]
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        *casts,
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.mkldnn.enabled,
        torch.backends.cudnn.enabled,
        torch.backends.cudnn.benchmark,
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        tuple(module.training for module in modules),
    )
