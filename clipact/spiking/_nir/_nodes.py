"""The nodes that NIR has for the layers of a traced network."""

from typing import Any, NoReturn, final

import numpy as np
import torch.fx
from torch import nn

from clipact.errors import SpikingError
from clipact.nn import HoyerSpike
from clipact.spiking._graph import Traced
from clipact.spiking._nir._values import array, pair, shape_of, without_groups
from clipact.spiking._place import threshold_over

__all__ = ["Nodes", "refuse"]


@final
class Nodes:
    """Makes the node for a layer.

    Args:
        found: The folded network, traced, with the shape of every value.

    Attributes:
        nir: The package.
    """

    def __init__(self, found: Traced) -> None:
        import nir  # noqa: PLC0415 - optional

        self.nir = nir
        self._found = found

    def convolution(self, node: torch.fx.Node, layer: nn.Conv1d | nn.Conv2d) -> Any:
        """A convolution in one group."""
        size = shape_of(node.all_input_nodes[0])[1:]
        bias = np.zeros(layer.out_channels, np.float32) if layer.bias is None else array(layer.bias)  # pyright: ignore[reportUnnecessaryComparison] - None without one  # fmt: skip
        one = isinstance(layer, nn.Conv1d)
        options = [
            value if isinstance(value, str) else (value[0] if one else tuple(value))
            for value in (layer.stride, layer.padding, layer.dilation)
        ]
        kind: Any = self.nir.Conv1d if one else self.nir.Conv2d
        window = int(size[0]) if one else tuple(size)
        return kind(window, array(without_groups(layer)), *options, 1, bias)

    def linear(self, layer: nn.Linear) -> Any:
        """A Linear layer, with or without a bias."""
        weight, bias = array(layer.weight), layer.bias
        return self.nir.Linear(weight) if bias is None else self.nir.Affine(weight, array(bias))  # pyright: ignore[reportUnnecessaryComparison] - None without one

    def threshold(self, node: torch.fx.Node, spike: HoyerSpike, place: torch.fx.Node) -> Any:
        """A spike that is held against values of this place."""
        if spike.levels > 1:
            refuse(self._found, node, f"HoyerSpike(levels={spike.levels})")
        shape = shape_of(place)
        threshold = threshold_over(spike, len(shape) + 1)
        fits = threshold is not None and all(
            size in {1, full} for size, full in zip(threshold.shape, (1, *shape), strict=True)
        )
        if threshold is None or not fits:
            refuse(
                self._found, node, f"a threshold for each neuron behind a pool, here over {shape}"
            )
        values = np.broadcast_to(array(threshold[0]), shape)
        below = np.nextafter(values, np.float32(-np.inf))  # theirs is strictly above
        return self.nir.Threshold(below)

    def flatten(self, node: torch.fx.Node) -> Any:
        """All dimensions made one."""
        shape = shape_of(node.all_input_nodes[0])
        if shape_of(node) != (int(np.prod(shape)),):
            refuse(self._found, node, "flattening of some dimensions only")
        return self.nir.Flatten({"input": np.array(shape)}, 0, -1)

    def average(self, node: torch.fx.Node, layer: nn.AvgPool2d | nn.AdaptiveAvgPool2d) -> Any:
        """An average pool."""
        if isinstance(layer, nn.AdaptiveAvgPool2d):
            return self.whole_windows(node)
        if layer.ceil_mode or not layer.count_include_pad or layer.divisor_override is not None:
            refuse(self._found, node, "AvgPool2d that divides in its own way")
        return self.nir.AvgPool2d(pair(layer.kernel_size), pair(layer.stride), pair(layer.padding))

    def whole_windows(self, node: torch.fx.Node) -> Any:
        """An adaptive pool whose windows are all of one size."""
        before, after = shape_of(node.all_input_nodes[0])[1:], shape_of(node)[1:]
        if any(size % out for size, out in zip(before, after, strict=True)):
            refuse(self._found, node, "AdaptiveAvgPool2d with windows of different sizes")
        window = np.array(before) // np.array(after)
        return self.nir.AvgPool2d(window, window, np.array([0, 0]))


def refuse(found: Traced, node: torch.fx.Node, what: str) -> NoReturn:
    """Say that NIR has no node for something.

    Raises:
        SpikingError: Always.
    """
    where = found.name(node) if node.op == "call_module" else node.name
    raise SpikingError(
        f"to_nir(): NIR has no node for {where!r} ({what}); it knows convolutions, Linear layers, pools, flattening, sums"
        " and spikes of one level"
    )
