"""Networks to and from NIR, the exchange format of neuromorphic hardware and its simulators (extra ``nir``)."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from clipact.errors import MissingExtraError, SpikingError
from clipact.spiking._fold import fold
from clipact.spiking._graph import traced
from clipact.spiking._nir._export import Export
from clipact.spiking._nir._import import Imported

if TYPE_CHECKING:
    import nir

__all__ = ["from_nir", "to_nir"]


def to_nir(model: nn.Module, example: Tensor) -> "nir.NIRGraph":
    """A network of one time step as a NIR graph: folded, its spikes as thresholds.

    The maximum of spikes is whether there is any: a max-pool becomes a sum-pool with a threshold behind it, and one
    before a spike changes places with it.

    Args:
        model: Of convolutions (1d, 2d), Linear layers, BatchNorm, pools, flattening, sums and Hoyer spikes of one level; it
            stays as it is. ``nir.write(path, graph)`` stores what comes back.
        example: A batch of inputs; its first axis counts samples and is no part of the graph.

    Returns:
        The graph.

    Raises:
        SpikingError: The forward cannot be traced, the network does not take the example, or NIR has no node for
            something in it.
        MissingExtraError: nir is not installed.

    Examples:
        >>> import torch
        >>> from clipact.nn import HoyerSpike
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), HoyerSpike(), nn.Linear(8, 2)).eval()
        >>> x = torch.randn(16, 4)
        >>> torch.allclose(from_nir(to_nir(net, x))(x), net(x), atol=1e-5)
        True
    """
    _check_installed()
    found = traced(fold(model, example=example), "to_nir()")
    found.look(example, "to_nir()")
    return Export(found).graph()


@torch.inference_mode(mode=False)
def from_nir(graph: "nir.NIRGraph") -> nn.Module:
    """A network of PyTorch layers from a NIR graph: what :func:`to_nir` gives, and what others write with the same nodes.

    Args:
        graph: As ``nir.read(path)`` gives it: one input, one output, no cycle, no neuron that remembers.

    Returns:
        The network, in eval mode; thresholds are Hoyer spikes at a fixed place.

    Raises:
        SpikingError: It is no graph, a node is not known here, or the graph has a cycle.
        MissingExtraError: nir is not installed.
    """
    _check_installed()
    if not hasattr(graph, "edges") or not hasattr(graph, "nodes"):
        raise SpikingError(
            f"from_nir() got a {type(graph).__name__}; give a nir.NIRGraph, as nir.read(path) returns it"
        )
    return Imported(graph).eval()


def _check_installed() -> None:
    if find_spec("nir") is None:
        raise MissingExtraError(
            "NIR graphs need the package nir, which is not installed: pip install 'clipact[nir]'"
        )
