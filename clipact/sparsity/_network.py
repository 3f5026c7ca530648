"""What a theory of wide random layers needs to know of a network: its layers, its activations, and who feeds whom."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, final

from torch import Tensor, nn

from clipact.sparsity._signals import Signal, Signals
from clipact.surgery import ACTIVATIONS, Example, Execution, intercept, run_once

__all__ = ["INPUT", "LAYERS", "NORMS", "Network", "Node", "read_network"]

LAYERS: Final = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS: Final = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
)
INPUT: Final = "the input"

OnNode = Callable[["Node", Any], None]


@final
@dataclass(frozen=True)
class Node:
    """One execution of a layer, a normalisation or an activation.

    Attributes:
        name: Its path, or the name of the site.
        kind: Its class, ``nn.ReLU`` also for ``F.relu``.
        reads: Where its input comes from.
        number: 0 for its first execution.
    """

    name: str
    kind: type[nn.Module]
    reads: Signal
    number: int

    @property
    def is_layer(self) -> bool:
        """Whether it has weights."""
        return issubclass(self.kind, LAYERS)

    @property
    def is_norm(self) -> bool:
        """Whether it normalises."""
        return issubclass(self.kind, NORMS)

    @property
    def is_site(self) -> bool:
        """Whether it is an activation."""
        return not self.is_layer and not self.is_norm


@final
@dataclass(frozen=True)
class Network:
    """What one forward pass ran, in order.

    Attributes:
        model: The model.
        nodes: Every execution.
    """

    model: nn.Module
    nodes: list[Node] = field(default_factory=list[Node])

    @property
    def layers(self) -> list[Node]:
        """First executions of the layers with weights."""
        return [node for node in self.nodes if node.is_layer and node.number == 0]

    @property
    def norms(self) -> list[Node]:
        """First executions of the normalisations."""
        return [node for node in self.nodes if node.is_norm and node.number == 0]

    @property
    def sites(self) -> list[Node]:
        """Executions of the activations."""
        return [node for node in self.nodes if node.is_site]

    def find(self, name: str) -> Node:
        """The first execution of this name."""
        return next(node for node in self.nodes if node.name == name)

    def come_from(self, signal: Signal, test: Callable[[Node], bool]) -> bool:
        """Whether every source of a signal is a node that passes the test; false for a signal without sources."""
        return bool(signal.sources) and all(
            name != INPUT and test(self.find(name)) for name in signal.sources
        )


def read_network(
    model: nn.Module,
    example: Example,
    *,
    kinds: tuple[type[nn.Module], ...] = (),
    on_node: OnNode | None = None,
) -> Network:
    """Run the model once, in eval mode and without gradients, and leave it as it was.

    Args:
        model: Any module.
        example: As for :func:`clipact.find_sites`.
        kinds: Further kinds of activations.
        on_node: Called with each node as it has run, and its output.

    Raises:
        SurgeryError: As :func:`clipact.find_sites`.
    """
    network, signals = Network(model), Signals()

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        signals.name((args, kwargs), INPUT)

    def see(execution: Execution, output: Any) -> None:
        reads = signals.of(output) if isinstance(output, Tensor) else Signal()
        node = Node(execution.site, execution.kind, reads, execution.number)
        network.nodes.append(node)
        if on_node is not None:
            on_node(node, output)
        signals.name(output, node.name)

    sites = (*ACTIVATIONS, *kinds)
    with signals, intercept(model, sites, see, layers=(*LAYERS, *NORMS), on_begin=begin):
        run_once(model, example)
    return network
