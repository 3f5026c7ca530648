"""What the theory of wide random layers expects of a network, from the weights that it has."""

import math
from typing import Final

from torch import Tensor, nn

from clipact._mean_field import Moments, Sparsifier
from clipact.nn import CST, CReLU, ShiftedReLU, SoftThreshold
from clipact.sparsity._network import Network, Node

__all__ = ["expected_variances", "moments_of"]

_TWO_SIDED: Final = (CST, SoftThreshold)
_CLIPPED: Final = (CReLU, CST)


def moments_of(module: nn.Module | None, kind: type[nn.Module]) -> Moments | None:
    """Expectations of an activation with one threshold a layer; None of those that have no closed form here."""
    if kind is nn.ReLU:
        return Sparsifier(0.0, math.inf, two_sided=False)
    if not isinstance(module, (*_CLIPPED, ShiftedReLU, SoftThreshold)):
        return None
    tau = _single(module.tau)
    m = _single(module.m) if isinstance(module, _CLIPPED) else math.inf
    if tau is None or m is None:
        return None
    return Sparsifier(tau, m, two_sided=isinstance(module, _TWO_SIDED))


def expected_variances(
    network: Network, moments: dict[int, Moments | None], squares: dict[int, float]
) -> dict[int, float]:
    r"""The variance before each activation, :math:`\text{fan-in}\,\overline{W^2}\,E[\phi^2(q)] + \overline{b^2}`.

    Args:
        network: What ran.
        moments: Of each activation, by its place in ``network.nodes``.
        squares: Mean squares of the inputs of the nodes, likewise; used where a layer reads something else than an
            activation, the network's input above all.

    Returns:
        By place of the activation; NaN where the theory says nothing.
    """
    modules = dict(network.model.named_modules())
    variances: dict[int, float] = {}  # behind layers, and before activations
    seconds: dict[int, float] = {}  # behind activations
    places: dict[str, int] = {}  # of the last execution by name
    for place, node in enumerate(network.nodes):
        sources = [places.get(name) for name in node.reads.sources]
        if node.is_layer:
            known = [math.nan if at is None else seconds.get(at, math.nan) for at in sources]
            given = node.reads.is_exact and len(known) == 1 and not math.isnan(known[0])
            variances[place] = _behind(modules[node.name], known[0] if given else squares[place])
        elif node.is_site:
            variances[place] = _before(node, sources, variances)
            of = moments.get(place)
            seconds[place] = math.nan if of is None else _second(of, variances[place])
        places[node.name] = place
    return {place: variances[place] for place, node in enumerate(network.nodes) if node.is_site}


def _before(node: Node, sources: list[int | None], variances: dict[int, float]) -> float:
    if node.reads.is_joined or len(sources) != 1 or sources[0] is None:
        return math.nan
    return variances.get(sources[0], math.nan)


def _second(moments: Moments, q: float) -> float:
    return moments.second_moment(q) if math.isfinite(q) else math.nan


def _behind(layer: nn.Module, second: float) -> float:
    weight, bias = layer.weight, layer.bias
    if not isinstance(weight, Tensor):
        return math.nan
    sigma = weight.detach().double().square().mean().item() * weight[0].numel()
    noise = bias.detach().double().square().mean().item() if isinstance(bias, Tensor) else 0.0
    return sigma * second + noise


def _single(threshold: Tensor) -> float | None:
    values = threshold.detach()
    low, high = values.min().item(), values.max().item()
    return low if low == high else None
