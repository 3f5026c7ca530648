"""Compute again only those rows of a layer's weight in which there are faults, where that gives the same bits."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from clipact.faults._replay._arguments import Given
from clipact.faults._replay._values import bits

__all__ = ["Kernel", "find_kernel"]

Layer: TypeAlias = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d

_CONVOLUTIONS: Final[Mapping[type, tuple[int, Callable[..., Tensor]]]] = {
    nn.Conv1d: (3, functional.conv1d),
    nn.Conv2d: (4, functional.conv2d),
    nn.Conv3d: (5, functional.conv3d),
}
_WIDTHS: Final = (1, 16, 64)
_FEWER: Final = 4
"""How many times fewer than all rows must be enough."""
_EVIDENCE: Final = 512
"""Values, different from each other, that must come out the same; few could by chance."""
_ENOUGH: Final = 2048
"""Values to look at, of which some may be alike."""


@final
@dataclass(frozen=True, eq=False)
class Kernel:
    """A layer whose output has a part for each row of its weight.

    Attributes:
        layer: A plain linear or convolutional layer.
        tensors: The targets among its weight and its bias.
        width: How many rows, next to each other, are computed together.
    """

    layer: Layer
    tensors: frozenset[int]
    width: int

    def redo(self, given: Given, golden: Tensor, rows: Iterable[int]) -> Tensor | None:
        """The output with some rows computed again: ``golden`` itself if they are the same; None if that is not for here.

        A row in which a weight is not finite is not for here: which NaN comes out of several depends on the order in
        which a processor is told to multiply.
        """
        starts = {_start(self.layer, row, self.width) for row in rows}
        if _rows(self.layer) < _FEWER * len(starts) * self.width:
            return None
        output = golden
        for start in sorted(starts):
            if not self.layer.weight[start : start + self.width].isfinite().all():
                return None
            part = _compute(self.layer, given[0][0], start, self.width)
            if torch.equal(bits(_part(self.layer, golden, start, self.width)), bits(part)):
                continue
            output = golden.clone() if output is golden else output
            _part(self.layer, output, start, self.width).copy_(part)
        return output


def find_kernel(
    forward: Callable[..., Any], targets: Mapping[int, int], given: Given, output: Any
) -> Kernel | None:
    """How rows of a layer can be computed by themselves, as was tried out on a fault-free call; None if they cannot.

    Args:
        forward: The forward of any module.
        targets: Of tensors that are targets, by ``id``, their numbers.
        given: What it was called with.
        output: What it returned.
    """
    layer = _layer(forward, given)
    if layer is None or output.stride() != torch.empty_like(output).stride():
        return None
    found = [targets.get(id(tensor)) for tensor in (layer.weight, layer.bias)]
    tensors = frozenset(number for number in found if number is not None)
    for width in _WIDTHS if tensors else ():
        fits = width == 1 or isinstance(layer, nn.Linear) or layer.groups == 1
        if fits and _rows(layer) >= _FEWER * width and _repeats(layer, given[0][0], output, width):
            return Kernel(layer, tensors, width)
    return None


def _layer(forward: Callable[..., Any], given: Given) -> Layer | None:
    """Whose forward it is, if that is one of torch's own layers, called as usual."""
    layer: Any = getattr(forward, "__self__", None)
    args, kwargs = given
    if len(args) != 1 or kwargs or not isinstance(args[0], Tensor):
        return None
    kind = type(layer)
    if kind is nn.Linear or (
        kind in _CONVOLUTIONS
        and layer.padding_mode == "zeros"
        and args[0].dim() == _CONVOLUTIONS[kind][0]
    ):
        return layer if getattr(forward, "__func__", None) is kind.forward else None
    return None


def _repeats(layer: Layer, given: Tensor, output: Tensor, width: int) -> bool:
    """Whether rows, the first and the last among them, give the same bits by themselves, and enough of them."""
    seen: list[Tensor] = []
    size = width * output.numel() // _rows(layer)
    starts = torch.linspace(0, _rows(layer) - width, 2 + _ENOUGH // max(size, 1)).long()
    for start in starts.unique().tolist():
        part = bits(_compute(layer, given, start, width))
        if not torch.equal(bits(_part(layer, output, start, width)), part):
            return False
        seen.append(part.reshape(-1))
    return torch.cat(seen).unique().numel() >= _EVIDENCE


def _compute(layer: Layer, given: Tensor, start: int, width: int) -> Tensor:
    weight = layer.weight[start : start + width]
    bias = None if layer.bias is None else layer.bias[start : start + width]
    if isinstance(layer, nn.Linear):
        return functional.linear(given, weight, bias)
    inputs = weight.shape[1]
    group = start * layer.groups // _rows(layer)
    return _CONVOLUTIONS[type(layer)][1](
        given if layer.groups == 1 else given.narrow(1, group * inputs, inputs),
        weight,
        bias,
        layer.stride,
        layer.padding,
        layer.dilation,
    )


def _part(layer: Layer, output: Tensor, start: int, width: int) -> Tensor:
    return output.narrow(-1 if isinstance(layer, nn.Linear) else 1, start, width)


def _rows(layer: Layer) -> int:
    return layer.weight.shape[0]


def _start(layer: Layer, row: int, width: int) -> int:
    return min(row // width * width, _rows(layer) - width)
