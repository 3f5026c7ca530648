"""What a network computes, layer by layer, as far as it can be traced."""

from typing import Any, final

import torch.fx
from torch import Tensor, nn

from clipact.errors import SpikingError
from clipact.nn import Activation

__all__ = ["Traced", "traced"]


@final
class _Whole(nn.Module):
    """Calls the network as a module, so that a forward of its own instance is traced too."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Any:
        return self.network(x)


@final
class _Tracer(torch.fx.Tracer):
    """Looks into containers, not into layers and activations."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Activation) or super().is_leaf_module(m, module_qualified_name)


@final
class Traced:
    """The graph of a network with one input.

    Attributes:
        root: Calls the network.
        network: The network.
        graph: Its nodes; layers are called by ``call_module``.
    """

    def __init__(self, root: nn.Module, network: nn.Module, graph: torch.fx.Graph) -> None:
        self.root, self.network, self.graph = root, network, graph

    def layer(self, node: torch.fx.Node) -> nn.Module | None:
        """The layer that a node calls; None if it is another operation."""
        return self.network.get_submodule(self.name(node)) if node.op == "call_module" else None

    def name(self, node: torch.fx.Node) -> str:
        """The layer's name in the network; empty for a network that is a single layer."""
        return str(node.target).removeprefix("network").removeprefix(".")

    def source(self, node: torch.fx.Node) -> torch.fx.Node | None:
        """The node whose value it takes, if that is its only one and goes nowhere else."""
        sources = node.all_input_nodes
        return sources[0] if len(sources) == 1 and len(sources[0].users) == 1 else None

    def check_called_once(self, what: str) -> None:
        """Refuse a network that calls a layer twice.

        Raises:
            SpikingError: It does.
        """
        names = [self.name(node) for node in self.graph.nodes if node.op == "call_module"]
        layers = [id(self.network.get_submodule(name)) for name in names]
        again = sorted({t for t, n in zip(names, layers, strict=True) if layers.count(n) > 1})
        if again:
            raise SpikingError(
                f"{what} of {type(self.network).__name__}: {', '.join(again)} is called several times, and what follows differs; give each"
                " call a layer of its own"
            )


def traced(network: nn.Module, what: str) -> Traced:
    """Trace a network.

    Args:
        network: Its forward takes one tensor.
        what: The function that was asked for, for the error message.

    Raises:
        SpikingError: The forward cannot be traced.
    """
    try:
        root = _Whole(network)
        graph = _Tracer().trace(root)
    except Exception as error:
        raise SpikingError(
            f"{what} of {type(network).__name__}: its forward cannot be traced ({error}); it must take one tensor, and no"
            " decision may depend on values"
        ) from error
    return Traced(root, network, graph)
