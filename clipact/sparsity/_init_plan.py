"""Which layers an initialisation sets, and how; or every reason why it cannot."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import nn

from clipact.errors import SparsityError
from clipact.nn import Activation
from clipact.sparsity._network import LAYERS, NORMS, Network, Node
from clipact.sparsity._point import EdgeOfChaos

__all__ = ["Planned", "kind_of", "make_plan"]

_CLOSE = 1e-4  # relative; thresholds are float32, or less


@final
@dataclass(frozen=True)
class Planned:
    """A layer to be set.

    Attributes:
        name: Its path.
        module: The layer.
        measured: Its input is not simply what an activation gave, so that its mean square must be measured.
        feeds: Whether an activation reads its output.
    """

    name: str
    module: nn.Module
    measured: bool
    feeds: bool


def kind_of(point: EdgeOfChaos) -> type[nn.Module] | None:
    """The class of the point's activation, or None for a function that has none."""
    if isinstance(point.kind, nn.Module):
        return type(point.kind)
    if isinstance(point.kind, type) and issubclass(point.kind, nn.Module):
        return point.kind
    return None


def make_plan(network: Network, point: EdgeOfChaos) -> list[Planned]:
    """Layers in the order in which they run.

    Raises:
        SparsityError: The network is not one that the theory covers; says all that is in the way.
    """
    problems = [
        *_of_sites(network, point),
        *_of_parameters(network),
        *_of_layers(network, point),
    ]
    if problems:
        shown = problems[:8] + ([f"{len(problems) - 8} more"] if len(problems) > 8 else [])
        raise SparsityError(
            f"{type(network.model).__name__} cannot be initialised at the edge of chaos: {'; '.join(shown)}"
        )
    modules = dict(network.model.named_modules())
    read = {name for site in network.sites for name in site.reads.sources}
    return [
        Planned(node.name, modules[node.name], not _is_given(network, node), node.name in read)
        for node in network.layers
    ]


def _is_given(network: Network, layer: Node) -> bool:
    """Whether the layer reads just what activations gave."""
    return layer.reads.is_exact and network.come_from(layer.reads, lambda node: node.is_site)


def _of_sites(network: Network, point: EdgeOfChaos) -> Iterator[str]:
    kind, name = kind_of(point), getattr(point.kind, "__name__", type(point.kind).__name__)
    found = {site.kind for site in network.sites}
    if not found or (kind is not None and kind not in found):
        yield f"the point is one of {name}, and no such activation ran on the example"
        return
    if kind is None and len(found) > 1:
        yield f"it has {', '.join(sorted(k.__name__ for k in found))}, and the point is one of a single activation"
    modules = dict(network.model.named_modules())
    for site in network.sites:
        if kind is not None and site.kind is not kind:
            yield f"{site.name!r} is {site.kind.__name__}, and the point is one of {name}"
        elif site.reads.is_joined:
            yield (
                f"{site.name!r} reads a mixture of {site.reads.describe()}, such as a residual stream or attention, whose "
                "variance the theory of plain networks does not keep: normalise it, or initialise this network yourself"
            )
        elif not network.come_from(site.reads, lambda node: not node.is_site):
            yield f"{site.name!r} reads {site.reads.describe()}, not the output of a layer"
        yield from _of_thresholds(site.name, modules.get(site.name), point)


def _of_thresholds(name: str, module: nn.Module | None, point: EdgeOfChaos) -> Iterator[str]:
    wanted = {"tau": point.tau, "m": point.m}
    for key, value in wanted.items():
        has = getattr(module, key, None)
        if value is None or not isinstance(has, torch.Tensor):
            continue
        if not bool(((has - value).abs() <= _CLOSE * abs(value)).all()):
            yield (
                f"{name!r} has {key} from {has.min().item():.6g} to {has.max().item():.6g} instead of the point's "
                f"{value:.6g}: build it with point.activation()"
            )


def _of_parameters(network: Network) -> Iterator[str]:
    """Matrices that belong to no layer we know, and weights that are not what they seem."""
    owners: dict[int, list[str]] = defaultdict(list)
    ran = {node.name for node in network.layers}
    for path, module in network.model.named_modules():
        if isinstance(module, LAYERS):
            weight = dict(module.named_parameters(recurse=False)).get("weight")
            if weight is None or getattr(module, "parametrizations", None) is not None:
                yield f"the weight of {path!r} is parametrised: remove that, initialise, and put it back"
            elif path not in ran:
                yield f"{path!r} ({type(module).__name__}) does not run on the example"
            else:
                owners[id(weight)].append(path)
        elif not isinstance(module, (*NORMS, Activation)):
            for key, parameter in module.named_parameters(recurse=False):
                if parameter.dim() > 1:
                    where = f"{path}.{key}" if path else key
                    yield f"{where!r} belongs to a {type(module).__name__}, which is neither a linear layer nor a convolution"
    yield from (
        f"{' and '.join(map(repr, paths))} share a weight"
        for paths in owners.values()
        if len(paths) > 1
    )


def _of_layers(network: Network, point: EdgeOfChaos) -> Iterator[str]:
    modules = dict(network.model.named_modules())
    for node in network.layers:
        module = modules.get(node.name)
        if node.reads.is_joined:
            yield f"{node.name!r} reads a mixture of {node.reads.describe()}: initialise this network yourself"
        elif not node.reads.sources:
            yield f"{node.name!r} reads something that cannot be followed back to the input"
        has_bias = getattr(module, "bias", None) is not None
        if point.sigma_b > 0.0 and not has_bias and not network.norms:
            yield f"{node.name!r} has no bias, and the point needs biases of deviation {point.sigma_b:.4g}"
    for node in network.nodes:
        if node.is_layer and node.number:
            first = network.find(node.name)
            if _is_given(network, first) != _is_given(network, node):
                yield f"{node.name!r} runs several times, on {first.reads.describe()} and on {node.reads.describe()}"
