"""Intervals on each of which a function is smooth: kinks and jumps of a function are found, not asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from clipact._mean_field import legendre
from clipact.errors import SparsityError

ORDER = 16  # nodes a panel
_TOLERANCE = 4e-14
_NARROW = 1e-9  # of the whole: a panel so narrow is at a kink
_MOST = 4000


@final
@dataclass(frozen=True)
class Panels:
    """Intervals side by side, on each of which a polynomial of low degree is the function to the last digits.

    Attributes:
        edges: Their ends, rising.
        kinks: Where the function is not smooth, rising.
    """

    edges: Tensor
    kinks: Tensor

    def rule(self) -> tuple[Tensor, Tensor]:
        """Nodes on all of them, and weights."""
        return spread(self.edges)


def spread(edges: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes and weights on the intervals between edges, over the last dimension."""
    nodes, weights = reference()
    half = edges.diff(dim=-1).unsqueeze(-1) / 2
    middle = (edges[..., 1:] + edges[..., :-1]).unsqueeze(-1) / 2
    return (middle + half * nodes).flatten(-2), (half * weights).flatten(-2)


def reference() -> tuple[Tensor, Tensor]:
    """Nodes and weights on [-1, 1]."""
    nodes, weights = zip(*legendre(ORDER), strict=True)
    return torch.tensor(nodes, dtype=torch.float64), torch.tensor(weights, dtype=torch.float64)


def smooth_panels(function: Callable[[Tensor], Tensor], reach: float) -> Panels:
    """Halve intervals of ``[-reach, reach]`` until the function is smooth on each, or nothing of it is left.

    Args:
        function: Elementwise, in float64.
        reach: How far to look.

    Raises:
        SparsityError: It is not smooth even on very many intervals.
    """
    nodes, _ = reference()
    probes = torch.tensor([-1.0, -0.7, -0.35, 0.0, 0.35, 0.7, 1.0], dtype=torch.float64)
    predict = _interpolation(nodes, probes)
    # off the round numbers, so that a kink lies within an interval
    open_ = torch.linspace(-1.0123 * reach, 1.0345 * reach, 27, dtype=torch.float64).unfold(0, 2, 1)
    done: list[Tensor] = []
    while len(open_):
        middle, half = open_.mean(1, keepdim=True), open_.diff(dim=1) / 2
        values, found = function(middle + half * nodes), function(middle + half * probes)
        error = (values @ predict.T - found).abs().amax(1)
        size = values.abs().amax(1) + open_.abs().amax(1)
        smooth = (error <= _TOLERANCE * size) | (half.squeeze(1) <= 1e-14 * reach)
        done.append(open_[smooth])
        open_ = open_[~smooth]
        if len(open_) > _MOST:
            raise SparsityError(
                f"the activation is not smooth between a few kinks: after {len(done)} halvings, {len(open_)} intervals of"
                f" [-{reach:g}, {reach:g}] still hold one; the solver needs float64 inside, and no randomness"
            )
        centre = open_.mean(1, keepdim=True)
        open_ = torch.cat(
            [torch.cat([open_[:, :1], centre], 1), torch.cat([centre, open_[:, 1:]], 1)]
        )
    pieces = torch.cat(done)
    return Panels(pieces.flatten().unique(), _clusters(pieces, _NARROW * reach))


def _clusters(pieces: Tensor, narrow: float) -> Tensor:
    """The middle of the narrowest of each heap of narrow panels."""
    found: list[tuple[float, float]] = []  # width and place
    for low, high in sorted(pieces[pieces.diff(dim=1).squeeze(1) < narrow].tolist()):
        width, place = high - low, (low + high) / 2
        if found and place - found[-1][1] < 10 * narrow:
            found[-1] = min(found[-1], (width, place))
        else:
            found.append((width, place))
    return torch.tensor([place for _, place in found], dtype=torch.float64)


def _interpolation(nodes: Tensor, probes: Tensor) -> Tensor:
    """The matrix from values at the nodes to those of the polynomial through them at the probes."""
    gaps = nodes.unsqueeze(1) - nodes
    barycentric = 1.0 / gaps.fill_diagonal_(1.0).prod(1)
    terms = barycentric / (probes.unsqueeze(1) - nodes)
    return terms / terms.sum(1, keepdim=True)
