"""What a network computes, layer by layer, as far as it can be traced."""

import copy
from typing import Any, final

import torch
import torch.fx
from torch import Tensor, nn
from torch.fx.passes.shape_prop import ShapeProp

from clipact.errors import SpikingError
from clipact.nn import Activation

__all__ = ["Traced", "copied", "traced"]


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
        """Refuse a network that calls a layer twice; one without parameters and buffers, such as a pool, may be.

        Raises:
            SpikingError: It does.
        """
        found = [(self.name(node), self.layer(node)) for node in self.graph.nodes]
        found = [(name, layer) for name, layer in found if layer is not None and _has_state(layer)]
        names, layers = [name for name, _ in found], [id(layer) for _, layer in found]
        again = sorted({t for t, n in zip(names, layers, strict=True) if layers.count(n) > 1})
        if again:
            raise SpikingError(
                f"{what} of {type(self.network).__name__}: {', '.join(again)} is called several times, and what follows differs; give each"
                " call a layer of its own"
            )

    def look(self, example: Tensor, what: str) -> None:
        """Note the shape of every value, as ``node.meta["tensor_meta"]``.

        Args:
            example: A batch of inputs.
            what: The function that was asked for, for the error message.

        Raises:
            SpikingError: The network does not take the example.
        """
        refused = f"{what} of {type(self.network).__name__}: the network does not take the example"
        if not isinstance(example, Tensor) or example.dim() == 0:  # pyright: ignore[reportUnnecessaryIsInstance] - callers may not check types
            raise SpikingError(
                f"{refused} ({type(example).__name__}); give a tensor whose first axis counts samples"
            )
        try:
            with torch.no_grad():
                self.network(example)  # its errors are shorter
                ShapeProp(torch.fx.GraphModule(self.root, self.graph)).propagate(example)
        except Exception as error:
            raise SpikingError(
                f"{refused} ({_brief(error)}); give a batch of its inputs"
            ) from error


def copied(model: nn.Module, what: str) -> nn.Module:
    """A deep copy in eval mode.

    Raises:
        SpikingError: It cannot be copied.
    """
    try:
        return copy.deepcopy(model).eval()
    except (RuntimeError, ValueError, TypeError) as error:
        raise SpikingError(
            f"{what} of {type(model).__name__}: the network cannot be copied ({_brief(error)}); run lazy layers once, and make"
            " pruning, weight_norm and spectral_norm of torch.nn.utils permanent before"
        ) from error


def _has_state(layer: nn.Module) -> bool:
    return any(True for _ in layer.parameters()) or any(True for _ in layer.buffers())


def _brief(error: Exception) -> str:
    return str(error).partition("\n")[0].partition(". ")[0].strip() or type(error).__name__


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
            f"{what} of {type(network).__name__}: its forward cannot be traced ({_brief(error)}); it must take one tensor, and no"
            " decision may depend on values"
        ) from error
    return Traced(root, network, graph)
