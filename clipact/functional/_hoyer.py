"""Where a layer's Hoyer threshold comes from: the extremum of its clipped input, and the ratio that sharpens it."""

import torch
from torch import Tensor

from clipact.errors import SpikingError
from clipact.functional._hoyer_sums import Clip, hoyer_sums
from clipact.functional._threshold import as_tensor, fit


def hoyer_extremum(
    x: Tensor,
    v_threshold: float | Tensor = 1.0,
    *,
    levels: int = 1,
    channel_dim: int | None = None,
    exclude_saturated: bool = False,
) -> Tensor:
    r"""Hoyer extremum of the clipped input: :math:`E = \sum c^2 / \sum c` with :math:`c = \min(\max(x / |V|, 0), 1)`.

    It says where, in units of the clip value :math:`|V|`, a neuron fires; it lies in :math:`(0, 1]`. It is a statistic:
    no gradient flows through it. Sums are taken in single precision at least.

    Where nothing is positive there is no statistic, and the result is 1, so that the threshold is the clip value itself.
    :math:`+\infty` counts as 1; NaN and :math:`-\infty` count as 0.

    With several levels the input is seen as :math:`D` spikes in one step: the :math:`k`-th has
    :math:`c_k = \min(\max(x D / |V| - (k - 1), 0), 1)`, and the sums run over all of them.

    Args:
        x: Floating-point pre-activation of any shape.
        v_threshold: :math:`V`, the clip value; its absolute value is used. A number, or a tensor that broadcasts to ``x``
            without enlarging it.
        levels: :math:`D`, how many spikes a neuron can send at once.
        channel_dim: The dimension of the channels, for one extremum a channel; None for one of the whole tensor.
        exclude_saturated: Leave values at or past the clip out, as the authors' training scripts for VGG do.

    Returns:
        A tensor of shape ``(1,)``, or of the shape in which one value a channel broadcasts to ``x``: ``(C, 1, 1)`` for
        images with ``channel_dim=1``.

    Raises:
        ThresholdError: ``x`` is not floating-point, or ``v_threshold`` would enlarge it.
        SpikingError: ``channel_dim`` is out of range.

    References:
        Datta, Liu, Beerel, "Hoyer regularizer is all you need for ultra low-latency spiking neural networks",
        arXiv 2212.10170.

    Examples:
        >>> hoyer_extremum(torch.tensor([-1.0, 0.5, 1.0, 7.0]))
        tensor([0.9000])
        >>> hoyer_extremum(torch.tensor([-1.0, 0.5, 1.0, 7.0]), exclude_saturated=True)
        tensor([0.5000])
        >>> hoyer_extremum(torch.tensor([[0.5, -1.0], [0.5, 4.0]]), 2.0, channel_dim=1)
        tensor([0.2500, 1.0000])
    """
    size = as_tensor(x, fit(x, v_threshold, "v_threshold"))
    channel = None if channel_dim is None else check_channel_dim(x, channel_dim)
    squares, total = hoyer_sums(x, size, channel, Clip(levels, exclude_saturated))
    extremum = torch.where(total > 0, squares / total.clamp_min(torch.finfo(total.dtype).tiny), 1.0)
    return extremum if channel is None else along(extremum, x.dim(), channel)


def hoyer_ratio(x: Tensor, *, normalized: bool = True) -> Tensor:
    r"""Squared ratio of norms: :math:`H = (\lVert x\rVert_1 / \lVert x\rVert_2)^2`, how many of the values matter.

    It is 1 for a single value that is not zero, and ``x.numel()`` where all have the same magnitude; divided by
    ``x.numel()``, it does not depend on the sizes of batch and image. Small values lower it by going to zero, large ones
    by growing: it is scale-invariant, and drives values away from the threshold between.

    An input of zeros, or without elements, gives 0. Infinities and NaN give NaN: clip the input first. Sums are taken in
    single precision at least.

    Args:
        x: Floating-point tensor of any shape.
        normalized: Divide by ``x.numel()``.

    Returns:
        A tensor without dimensions, through which gradients flow, in single precision at least.

    Raises:
        SpikingError: ``x`` is not floating-point.

    References:
        Datta, Liu, Beerel, arXiv 2212.10170; Yang, Wen, Li, "DeepHoyer", ICLR 2020.

    Examples:
        >>> hoyer_ratio(torch.tensor([0.0, 0.0, 3.0, 0.0]), normalized=False)
        tensor(1.)
        >>> hoyer_ratio(torch.tensor([0.2, 0.2, 0.2, 0.2]))
        tensor(1.)
    """
    if not x.is_floating_point():
        raise SpikingError(
            f"hoyer_ratio was applied to an input of {x.dtype}, shape {tuple(x.shape)}; convert it with x.float()"
        )
    exact = x.to(torch.promote_types(x.dtype, torch.float32))
    total, squares = exact.abs().sum(), exact.square().sum()
    some = squares != 0
    ratio = torch.where(some, total.square() / torch.where(some, squares, 1.0), 0.0)
    return ratio / max(x.numel(), 1) if normalized else ratio


def check_channel_dim(x: Tensor, channel_dim: int) -> int:
    """``channel_dim`` counted from the front.

    Raises:
        SpikingError: ``x`` has no such dimension.
    """
    if not -x.dim() <= channel_dim < x.dim():
        raise SpikingError(
            f"channel_dim={channel_dim} was asked of an input of shape {tuple(x.shape)}, which has {x.dim()} dimensions;"
            " name the dimension of its channels, or take one statistic of the whole tensor"
        )
    return channel_dim % x.dim()


def along(values: Tensor, dims: int, channel: int) -> Tensor:
    """One value a channel in the shape in which it broadcasts to an input with that many dimensions."""
    return values if values.numel() == 1 else values.reshape((-1,) + (1,) * (dims - channel - 1))
