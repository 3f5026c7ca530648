"""How many multiply-accumulates one layer does, and how many of them have an input that is not zero.

Every input element is multiplied once for each connection that leads from it to an output. In a convolution the number of
these depends on where it lies: at the border, under a stride or between the taps of a dilated kernel it is smaller.
Since the number is a product over the spatial axes, it needs one short vector of integers an axis, and no convolution.
"""

from typing import Any, Final, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clipact.errors import SurgeryError

__all__ = ["COUNTED", "dense_operations", "effective_operations"]

COUNTED: Final[tuple[type[nn.Module], ...]] = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
"""The layers that can be counted."""

_TRANSPOSED: Final = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def dense_operations(layer: nn.Module, x: Tensor, output: Tensor) -> int:
    """Multiply-accumulates of one call, zeros included; those of a convolution with its padding too.

    This is what profilers count: half the operations that ``torch.utils.flop_counter`` gives. Biases are not counted.

    Args:
        layer: One of :data:`COUNTED`.
        x: Its input, batched or not; only the shape matters.
        output: Its output; only the shape matters.

    Raises:
        SurgeryError: Another kind of layer.
    """
    if isinstance(layer, nn.Linear):
        return x.numel() * layer.out_features
    taps = _convolution(layer)
    per_group = taps.weight[0].numel()
    return (x if isinstance(layer, _TRANSPOSED) else output).numel() * per_group


def effective_operations(layer: nn.Module, x: Tensor, output: Tensor) -> Tensor:
    """Multiply-accumulates of one call whose input element is not zero, exactly.

    NaN is not zero, negative zero is. Zeros that a convolution pads with are zeros; what it pads with by reflecting,
    replicating or wrapping around is counted if it is not zero. Nothing waits for the device.

    Args:
        layer: One of :data:`COUNTED`.
        x: Its input, batched or not.
        output: Its output; only the shape matters.

    Returns:
        An int64 tensor without dimensions, on the device of ``x``.

    Raises:
        SurgeryError: Another kind of layer.

    Examples:
        >>> layer = nn.Conv1d(1, 4, kernel_size=3, padding=1)
        >>> corner, middle = torch.zeros(1, 1, 8), torch.zeros(1, 1, 8)
        >>> corner[..., 0], middle[..., 4] = 1.0, 1.0
        >>> [int(effective_operations(layer, x, layer(x))) for x in (corner, middle)]
        [8, 12]
    """
    if isinstance(layer, nn.Linear):
        return torch.count_nonzero(x) * layer.out_features
    taps = _convolution(layer)
    axes = len(taps.kernel_size)
    nonzero = (x != 0).flatten(0, -axes - 1).sum(0) if x.dim() > axes else (x != 0).long()
    transposed = isinstance(layer, _TRANSPOSED)
    counts = nonzero if transposed else _padded(taps, nonzero)
    for axis in range(axes):
        uses = _uses if not transposed else _uses_transposed
        vector = uses(taps, axis, counts.shape[-axes + axis], output.shape[-axes + axis])
        shape = [-1 if other == axis else 1 for other in range(axes)]
        counts = counts * vector.to(x.device).view(shape)
    fan_out = taps.out_channels // taps.groups
    return counts.sum() * fan_out


def _convolution(layer: nn.Module) -> Any:
    if not isinstance(layer, COUNTED):
        known = ", ".join(kind.__name__ for kind in COUNTED)
        raise SurgeryError(
            f"operations of {type(layer).__name__} cannot be counted; those of {known} can"
        )
    return cast("Any", layer)


def _padded(taps: Any, counts: Tensor) -> Tensor:
    """Counts on the padded input, whatever it is padded with."""
    widths = taps._reversed_padding_repeated_twice  # noqa: SLF001 - "same" as numbers
    if taps.padding_mode == "zeros":
        return F.pad(counts, widths)
    # integers cannot be padded by reflection; doubles are exact up to 2 ** 53
    return F.pad(counts[None, None].double(), widths, mode=taps.padding_mode)[0, 0].long()


def _uses(taps: Any, axis: int, size: int, outputs: int) -> Tensor:
    """Of each position along one axis, in how many (output, tap) pairs it takes part."""
    starts = torch.arange(outputs) * taps.stride[axis]
    offsets = torch.arange(taps.kernel_size[axis]) * taps.dilation[axis]
    return torch.bincount((starts[:, None] + offsets).flatten(), minlength=size)


def _uses_transposed(taps: Any, axis: int, size: int, outputs: int) -> Tensor:
    """Of each position along one axis, how many taps lead from it into the output."""
    starts = torch.arange(size) * taps.stride[axis] - taps.padding[axis]
    places = starts[:, None] + torch.arange(taps.kernel_size[axis]) * taps.dilation[axis]
    return ((places >= 0) & (places < outputs)).sum(1)
