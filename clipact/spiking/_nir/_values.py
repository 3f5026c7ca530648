"""What a traced network holds, as NIR takes it."""

from typing import Any

import numpy as np
import torch.fx
from torch import Tensor, nn

__all__ = ["array", "pair", "shape_of", "without_groups"]


def without_groups(layer: nn.Conv1d | nn.Conv2d) -> Tensor:
    """The weight of the same convolution in one group: nir does not read several."""
    outputs, inputs = layer.out_channels // layer.groups, layer.in_channels // layer.groups
    weight = layer.weight.detach()
    whole = weight.new_zeros(layer.out_channels, layer.in_channels, *weight.shape[2:])
    for group in range(layer.groups):
        rows = slice(group * outputs, (group + 1) * outputs)
        whole[rows, group * inputs : (group + 1) * inputs] = weight[rows]
    return whole


def shape_of(node: torch.fx.Node) -> tuple[int, ...]:
    """Of a node's value, without the samples."""
    return tuple(node.meta["tensor_meta"].shape[1:])


def array(values: Tensor) -> np.ndarray[Any, Any]:
    """In single precision, with memory of its own."""
    return values.detach().to("cpu", torch.float32).numpy().copy()


def pair(value: Any) -> np.ndarray[Any, Any]:
    """Of a setting that may be one number for two axes."""
    return np.array(value if isinstance(value, tuple) else (value, value))
