"""NIR nodes as PyTorch layers."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import Tensor, nn

from clipact.errors import SpikingError
from clipact.nn import HoyerSpike

if TYPE_CHECKING:
    import nir

__all__ = ["Imported"]


@final
class Imported(nn.Module):
    """Runs the nodes of a graph in order; the values that come to a node are summed.

    Args:
        graph: With one input and one output.

    Raises:
        SpikingError: A node is not known, or there is a cycle, or several inputs or outputs.
    """

    def __init__(self, graph: "nir.NIRGraph") -> None:
        super().__init__()
        self._edges = [(str(a), str(b)) for a, b in graph.edges]
        self._order = _sorted([str(name) for name in graph.nodes], self._edges)
        self._first, self._last = (_only(graph, kind) for kind in ("Input", "Output"))
        for number, name in enumerate(self._order):
            if name not in {self._first, self._last}:
                self.add_module(
                    f"{number}_{name}".replace(".", "_"), _layer(name, graph.nodes[name])
                )

    def forward(self, x: Tensor) -> Tensor:
        """What comes out of the graph, for a batch of inputs."""
        layers = iter(self.children())
        values = {self._first: x}
        for name in self._order:
            if name == self._first:
                continue
            value = sum((values[a] for a, b in self._edges if b == name), torch.zeros(()).to(x))
            values[name] = value if name == self._last else next(layers)(value)
        return values[self._last]


def _only(graph: "nir.NIRGraph", kind: str) -> str:
    found = [str(name) for name, node in graph.nodes.items() if type(node).__name__ == kind]
    if len(found) != 1:
        raise SpikingError(
            f"from_nir() needs a graph with one {kind} node, and this one has {len(found)}"
        )
    return found[0]


def _sorted(names: list[str], edges: list[tuple[str, str]]) -> list[str]:
    order: list[str] = []
    while len(order) < len(names):
        ready = [n for n in names if n not in order and all(a in order for a, b in edges if b == n)]
        if not ready:
            left = ", ".join(name for name in names if name not in order)
            raise SpikingError(
                f"from_nir(): there is a cycle among {left}; graphs of one time step have none"
            )
        order += ready
    return order


def _layer(name: str, node: Any) -> nn.Module:
    import nir  # noqa: PLC0415 - optional

    known: dict[type, Callable[[Any], nn.Module]] = {
        nir.Linear: _linear,
        nir.Affine: _linear,
        nir.Conv1d: _convolution,
        nir.Conv2d: _convolution,
        nir.Threshold: _threshold,
        nir.SumPool2d: _sums,
        nir.AvgPool2d: _means,
        nir.Flatten: _flatten,
        nir.Scale: _Scale,
    }
    make = known.get(type(node))
    if make is None:
        raise SpikingError(
            f"from_nir(): {name!r} is a {type(node).__name__}, which is no layer of one time step; known are"
            f" {', '.join(kind.__name__ for kind in known)}"
        )
    return make(node)


def _sums(node: Any) -> nn.Module:
    window, stride, padding = map(_ints, (node.kernel_size, node.stride, node.padding))
    return nn.AvgPool2d(window, stride, padding, divisor_override=1)


def _means(node: Any) -> nn.Module:
    return nn.AvgPool2d(*map(_ints, (node.kernel_size, node.stride, node.padding)))


def _flatten(node: Any) -> nn.Module:
    """Counted without samples there, with them here."""
    return nn.Flatten(*(dim + (dim >= 0) for dim in (node.start_dim, node.end_dim)))


def _linear(node: Any) -> nn.Module:
    outputs, inputs = node.weight.shape
    bias = getattr(node, "bias", None)
    layer = nn.Linear(inputs, outputs, bias=bias is not None)
    return _filled(layer, node.weight, bias)


def _convolution(node: Any) -> nn.Module:
    outputs, inputs, *window = node.weight.shape
    kind: Any = nn.Conv1d if len(window) == 1 else nn.Conv2d
    options = [
        v if isinstance(v, str) else _ints(v) for v in (node.stride, node.padding, node.dilation)
    ]
    layer = kind(inputs * node.groups, outputs, tuple(window), *options, groups=node.groups)
    return _filled(layer, node.weight, node.bias)


def _filled(layer: Any, weight: Any, bias: Any) -> nn.Module:
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.asarray(weight, np.float32)))
        if bias is not None:
            layer.bias.copy_(torch.from_numpy(np.asarray(bias, np.float32)))
    return layer.requires_grad_(requires_grad=False)


def _threshold(node: Any) -> nn.Module:
    """Strictly above, in NIR; at least the next number, here."""
    least = np.nextafter(np.asarray(node.threshold, np.float32), np.float32(np.inf))
    if not (least > 0).all():
        raise SpikingError(
            f"from_nir(): a threshold goes down to {least.min():g}; spikes at or below zero are not supported"
        )
    values = torch.from_numpy(least)
    if bool((values == values.flatten()[0]).all()):
        values = values.flatten()[:1]
    return HoyerSpike(v_threshold=values.clone(), learn_threshold=False)


def _ints(values: Any) -> Any:
    return tuple(int(value) for value in np.atleast_1d(values))


@final
class _Scale(nn.Module):
    scale: Tensor

    def __init__(self, node: Any) -> None:
        super().__init__()
        self.register_buffer("scale", torch.from_numpy(np.asarray(node.scale, np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale
