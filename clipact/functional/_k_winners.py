"""An activation that keeps the largest values of each row and zeroes the others."""

import torch
from torch import Tensor

from clipact.errors import SparsityError, ThresholdError
from clipact.functional._statistical_threshold import Dims


def k_winners(
    x: Tensor, sparsity: float, boost: Tensor | None = None, *, dims: Dims = -1
) -> Tensor:
    r"""The k-winners-take-all activation: in each row the :math:`k` largest values pass unchanged, the others become zero.

    Of the :math:`n` values of a row, :math:`k = \operatorname{round}((1 - s) n)`, at least one. Winners keep their sign, so
    that a row of negative values has negative winners. Use it where the share of zeros must be exact; it sorts, so
    :func:`statistical_threshold` is faster.

    Values with a boost compete as :math:`x e^{b}`, which favours positive ones only, but pass as they are. Among equal values, as many win as there is place
    for; which ones is not specified. NaN counts as the largest value; :math:`\pm\infty` as themselves.

    Gradients: those of the winners pass, all others are 0. None flows into ``boost``.

    Args:
        x: Floating-point input of any shape; never modified.
        sparsity: :math:`s`, the share of zeros, in (0, 1).
        boost: :math:`b`, a tensor that broadcasts to ``x``, or None for a fair competition.
        dims: What makes a row: the last dimension (features), ``(-3, -2, -1)`` for all of a sample's maps, ``-3`` for the
            channels at each place.

    Returns:
        A tensor of the shape, dtype, device and memory format of ``x``.

    Raises:
        SparsityError: The sparsity is not in (0, 1).
        ThresholdError: ``x`` is not floating-point, or lacks one of the dimensions; or ``boost`` does not broadcast to it.

    References:
        Majani, Erlanson, Abu-Mostafa, "On the k-winners-take-all network", NIPS 1988; Ahmad and Scheinkman, "How can we be so
        dense? The benefits of using highly sparse representations", arXiv 1903.11257 (boosting).

    Examples:
        >>> k_winners(torch.tensor([[1.0, -2.0, 4.0, 3.0], [-5.0, -1.0, -3.0, -2.0]]), 0.5)
        tensor([[ 0.,  0.,  4.,  3.],
                [ 0., -1.,  0., -2.]])
        >>> k_winners(torch.tensor([1.0, 2.0]), 0.5, boost=torch.tensor([1.0, 0.0]))
        tensor([1., 0.])
    """
    if not x.is_floating_point():
        raise ThresholdError(
            f"k_winners was applied to an input of {x.dtype}, shape {tuple(x.shape)}; activations take floating-point inputs:"
            " convert it with x.float()"
        )
    # in the memory format of x, which then is that of the output
    mask = torch.empty_like(x, dtype=torch.bool).copy_(winners(x, sparsity, boost, dims))
    return torch.where(mask, x, 0.0)


def winners(x: Tensor, sparsity: float, boost: Tensor | None, dims: Dims) -> Tensor:
    """Which values pass: a bool tensor in the shape of ``x``."""
    if not 0.0 < sparsity < 1.0:
        raise SparsityError(
            f"a sparsity of {sparsity:g} was asked for; it is a share of zeros: give a number between 0 and 1, such as 0.85"
        )
    if x.dim() == 0 or x.numel() == 0:
        return torch.ones_like(x, dtype=torch.bool)
    asked = (dims,) if isinstance(dims, int) else dims
    if any(not -x.dim() <= d < x.dim() for d in asked):
        raise ThresholdError(
            f"k_winners was applied over dims={dims} to an input of shape {tuple(x.shape)}, which has no such dimension; give"
            " dimensions that the input has"
        )
    if boost is not None and not _fits(boost, x):
        raise ThresholdError(
            f"k_winners got a boost of shape {tuple(boost.shape)} for an input of shape {tuple(x.shape)}, to which it does not"
            " broadcast; give one value for each unit"
        )
    score = x.detach() if boost is None else x.detach() * boost.detach().exp().to(x.dtype)
    places = tuple(d % x.dim() for d in asked)
    others = [d for d in range(x.dim()) if d not in places]
    order = [*others, *places]
    shuffled = score.permute(order)
    rows = shuffled.reshape(*shuffled.shape[: len(others)], -1)
    k = max(1, round((1.0 - sparsity) * rows.shape[-1]))
    chosen = torch.zeros_like(rows, dtype=torch.bool)
    chosen = chosen.scatter(-1, rows.topk(k, dim=-1, sorted=False).indices, True)  # noqa: FBT003 - the value to scatter
    back = [order.index(d) for d in range(x.dim())]
    return chosen.reshape(shuffled.shape).permute(back)


def _fits(boost: Tensor, x: Tensor) -> bool:
    """Whether the boost broadcasts to the input without enlarging it."""
    sizes = zip(reversed(boost.shape), reversed(x.shape), strict=False)
    return boost.dim() <= x.dim() and all(size in (1, given) for size, given in sizes)
