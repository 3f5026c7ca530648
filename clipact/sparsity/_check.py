"""Measure variance and sparsity by depth, beside what the theory says."""

import math
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, final

from torch import Tensor, nn

from clipact.errors import SelectionError
from clipact.sparsity._count import nonzeros, not_finite
from clipact.sparsity._depth_check import CheckedSite, DepthCheck
from clipact.sparsity._expected import expected_variances, moments_of
from clipact.sparsity._first_input import first_input
from clipact.sparsity._init_plan import kind_of
from clipact.sparsity._network import LAYERS, NORMS, Network, Node, read_network
from clipact.sparsity._point import EdgeOfChaos
from clipact.surgery import ACTIVATIONS, Example

__all__ = ["check_"]


def check_(net: nn.Module, example: Example, *, point: EdgeOfChaos | None = None) -> DepthCheck:
    r"""Measure, on one batch, the variance before and the sparsity behind every activation.

    Beside them stands what the theory of wide layers says: of the network as it is, from the mean squares of its weights
    and biases and its thresholds, layer by layer from the first; or, with ``point``, its ``q_star`` and ``sparsity``
    everywhere. It says nothing behind normalisations, mixtures of signals, thresholds that differ within a layer, and
    activations other than ReLU and the four sparsifying ones.

    The network runs in eval mode without gradients, and nothing in it is changed. Overflow is shown, not raised.

    Args:
        net: Any module; freshly initialised, or trained.
        example: A batch, as for :func:`clipact.find_sites`.
        point: The point that it was initialised to.

    Returns:
        A table by site; print it, or draw it with :func:`clipact.report.depth_profile`.

    Raises:
        SelectionError: No activation ran.
        SurgeryError: As :func:`clipact.find_sites`.

    Examples:
        >>> import torch, clipact as ca
        >>> point = ca.sparsity.edge_of_chaos(ca.nn.CReLU, 0.85)
        >>> net = nn.Sequential()
        >>> for _ in range(3):
        ...     _ = net.append(nn.Linear(512, 512)).append(point.activation())
        >>> images = torch.randn(64, 512, generator=torch.Generator().manual_seed(0))
        >>> _ = ca.sparsity.init_(net, point, example=images)
        >>> found = check_(net, images, point=point)
        >>> [row.name for row in found], found.q_deviation < 0.1, found.sparsity_deviation < 0.05
        (['1', '3', '5'], True, True)
    """
    kind = None if point is None else kind_of(point)
    kinds = () if kind is None else (kind,)
    watcher = _Watcher()
    with ExitStack() as hooks:
        for module in net.modules():
            if isinstance(module, (*LAYERS, *NORMS, *ACTIVATIONS, *kinds)):
                before = module.register_forward_pre_hook(watcher.enter, with_kwargs=True)
                hooks.callback(before.remove)
        network = read_network(net, example, kinds=kinds, on_node=watcher.see)
    if not network.sites:
        raise SelectionError(f"{type(net).__name__} has no activation that ran on the example")
    return DepthCheck(tuple(_rows(network, watcher, point)))


@final
class _Watcher:
    """Measures what goes into nodes and comes out, without waiting for the device."""

    def __init__(self) -> None:
        self._given: list[tuple[nn.Module, Tensor]] = []
        self._behind: dict[str, Tensor] = {}
        self.squares: list[Tensor | None] = []
        self.zeros: list[tuple[Tensor, Tensor, int]] = []
        self.activations: list[nn.Module | None] = []

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._given.append((module, _mean_square(first_input(args, kwargs))))

    def see(self, node: Node, output: Tensor) -> None:
        # of modules within modules only the outer one is a node; a function has no module and is given what it reads
        before = [self._behind[name] for name in node.reads.sources if name in self._behind]
        module, square = self._given[0] if self._given else (None, before[0] if before else None)
        self._given.clear()
        self.activations.append(module)
        self.squares.append(square)
        self._behind[node.name] = _mean_square(output)
        every = tuple(range(output.dim()))
        self.zeros.append((nonzeros(output, every), not_finite(output), output.numel()))


def _rows(network: Network, watcher: _Watcher, point: EdgeOfChaos | None) -> list[CheckedSite]:
    squares = {
        place: math.nan if square is None else square.item()
        for place, square in enumerate(watcher.squares)
    }
    moments = {
        place: moments_of(watcher.activations[place], node.kind)
        for place, node in enumerate(network.nodes)
        if node.is_site
    }
    variances = expected_variances(network, moments, squares)
    rows: list[CheckedSite] = []
    for place, node in enumerate(network.nodes):
        if not node.is_site:
            continue
        of, q = moments[place], variances[place]
        share: Callable[[float], float] = (lambda _: math.nan) if of is None else of.zeros
        expected = (q, share(q) if math.isfinite(q) else math.nan)
        if point is not None:
            expected = (point.q_star, point.sparsity)
        passed, broken, size = watcher.zeros[place]
        zeros = 1.0 - int(passed) / size if size else math.nan
        rows.append(
            CheckedSite(
                node.name, node.kind, squares[place], expected[0], zeros, expected[1], int(broken)
            )
        )
    return rows


def _mean_square(values: Tensor) -> Tensor:
    return values.detach().double().square().mean()
