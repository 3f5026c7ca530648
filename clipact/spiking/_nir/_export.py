"""A traced network as NIR nodes and edges."""

import operator
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
import torch
import torch.fx
import torch.nn.functional as F
from torch import nn

from clipact.nn import HoyerSpike
from clipact.spiking._graph import Traced
from clipact.spiking._nir._nodes import Nodes, refuse
from clipact.spiking._nir._values import pair, shape_of

if TYPE_CHECKING:
    import nir

__all__ = ["Export"]

_SAME: Final = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d)
_SUMS: Final = (operator.add, operator.iadd, torch.add)
_HALF: Final = 0.5


@final
class Export:
    """Nodes and edges while they come together.

    Args:
        found: The folded network, traced, with the shape of every value.
    """

    def __init__(self, found: Traced) -> None:
        self._make = Nodes(found)
        self._nir = self._make.nir
        self._found = found
        self._nodes: dict[str, Any] = {}
        self._edges: list[tuple[str, str]] = []
        self._names: dict[torch.fx.Node, str] = {}
        self._early: set[torch.fx.Node] = set()

    def graph(self) -> "nir.NIRGraph":
        """The graph.

        Raises:
            SpikingError: NIR has no node for something.
        """
        for node in self._found.graph.nodes:
            self._take(node)
        return self._nir.NIRGraph(self._nodes, self._edges)

    def _take(self, node: torch.fx.Node) -> None:
        if node.op == "placeholder":
            self._add(node, self._nir.Input({"input": np.array(shape_of(node))}), "input")
        elif node.op == "output":
            sources = node.all_input_nodes
            if len(sources) != 1:
                refuse(self._found, node, f"{len(sources)} outputs")
            self._add(node, self._nir.Output({"output": np.array(shape_of(sources[0]))}), "output")
        elif node.target in _SUMS or (node.op == "call_method" and node.target in {"add", "add_"}):
            self._sum(node)
        elif node.target is torch.flatten or (
            node.op == "call_method" and node.target == "flatten"
        ):
            self._add(node, self._make.flatten(node))
        elif node.target is F.adaptive_avg_pool2d:
            self._add(node, self._make.whole_windows(node))
        elif node.op == "call_module":
            self._layer(node, self._found.layer(node))
        else:
            refuse(self._found, node, getattr(node.target, "__name__", str(node.target)))

    def _layer(self, node: torch.fx.Node, layer: nn.Module | None) -> None:
        if isinstance(layer, _SAME) or node in self._early:
            self._names[node] = self._names[node.all_input_nodes[0]]
        elif isinstance(layer, nn.MaxPool2d):
            self._max_pool(node, layer)
        elif isinstance(layer, HoyerSpike):
            self._add(node, self._make.threshold(node, layer, node))
        elif isinstance(layer, nn.Conv1d | nn.Conv2d) and layer.padding_mode == "zeros":
            self._add(node, self._make.convolution(node, layer))
        elif isinstance(layer, nn.Linear) and len(shape_of(node)) == 1:
            self._add(node, self._make.linear(layer))
        elif isinstance(layer, nn.Flatten):
            self._add(node, self._make.flatten(node))
        elif isinstance(layer, nn.AvgPool2d | nn.AdaptiveAvgPool2d):
            self._add(node, self._make.average(node, layer))
        elif isinstance(layer, nn.Conv1d | nn.Conv2d):
            refuse(self._found, node, f"padding_mode={layer.padding_mode!r}")
        else:
            shape = " of a sequence" if isinstance(layer, nn.Linear) else ""
            refuse(self._found, node, f"{type(layer).__name__}{shape}")

    def _max_pool(self, node: torch.fx.Node, pool: nn.MaxPool2d) -> None:
        """Whether there is any spike in a window; the spike first, if it comes after."""
        after = self._spike_after(node)
        source = node.all_input_nodes[0]
        if after is None and not self._is_spike(source):
            refuse(self._found, node, "MaxPool2d of values that are no spikes")
        stride = pool.kernel_size if pool.stride is None else pool.stride  # pyright: ignore[reportUnnecessaryComparison] - None is the default
        window, stride, padding, dilation = map(pair, (pool.kernel_size, stride, pool.padding, pool.dilation))  # fmt: skip
        if pool.ceil_mode or tuple(dilation) != (1, 1):
            refuse(self._found, node, "MaxPool2d with dilation or ceil_mode")
        before = self._names[source]
        if after is not None:
            spike, layer = after
            before = self._put(
                f"{node.name}_first", self._make.threshold(spike, layer, source), [before]
            )
            self._early.add(spike)
        sums = self._nir.SumPool2d(window, stride, padding)
        summed = self._put(f"{node.name}_sum", sums, [before])
        any_spike = self._nir.Threshold(np.full(shape_of(node), _HALF, np.float32))
        self._names[node] = self._put(node.name, any_spike, [summed])

    def _spike_after(self, node: torch.fx.Node) -> tuple[torch.fx.Node, HoyerSpike] | None:
        while len(node.users) == 1:
            (node,) = node.users
            layer = self._found.layer(node)
            if isinstance(layer, HoyerSpike):
                return node, layer
            if not isinstance(layer, _SAME):
                return None
        return None

    def _is_spike(self, node: torch.fx.Node) -> bool:
        layer = self._found.layer(node)
        if isinstance(layer, (*_SAME, nn.MaxPool2d)):
            return self._is_spike(node.all_input_nodes[0]) or node in self._early
        return isinstance(layer, HoyerSpike)

    def _sum(self, node: torch.fx.Node) -> None:
        """What comes to a node is summed; so the sum is a node that does nothing else."""
        first, second = node.args if len(node.args) == 2 else (None, None)
        values = isinstance(first, torch.fx.Node) and isinstance(second, torch.fx.Node)
        if not values or node.kwargs:
            refuse(self._found, node, "a sum of other things than two values")
        sources = [self._names[source] for source in node.all_input_nodes]
        if len(set(sources)) < 2:
            refuse(self._found, node, "the sum of a value with itself")
        if any(shape_of(source) != shape_of(node) for source in node.all_input_nodes):
            refuse(self._found, node, "a sum of values of different shapes")
        self._add(node, self._nir.Scale(np.ones(shape_of(node), np.float32)))

    def _add(self, node: torch.fx.Node, made: Any, name: str | None = None) -> None:
        sources = [self._names[source] for source in node.all_input_nodes]
        self._names[node] = self._put(name or node.name, made, sources)

    def _put(self, name: str, made: Any, sources: list[str]) -> str:
        self._nodes[name] = made
        self._edges += [(source, name) for source in sources]
        return name
