"""What lies outside its range is replaced by what is usual there."""

import torch
from torch import Tensor

from clipact.functional._threshold import as_tensor, fit


def mended(x: Tensor, low: float | Tensor, high: float | Tensor, fill: float | Tensor) -> Tensor:
    r"""Replace what lies outside ``[low, high]``, or is NaN, by ``fill``.

    .. math::
        y = \begin{cases} x & l \le x \le h \\ f & \text{otherwise} \end{cases}

    Use it with the mean of healthy activations as the fill: a layer behind it then sees what it usually sees, where
    0 takes the sum of a faulty channel away. :func:`range_restricted` with ``zero`` is the same with :math:`f = 0`.

    :math:`\pm\infty` and NaN give :math:`f`; an infinity within an infinite bound passes.

    Gradients: :math:`\partial y/\partial x = 1` for :math:`l \le x \le h`, else 0, and
    :math:`\partial y/\partial f = 1` where :math:`f` is put; the bounds receive none.

    Args:
        x: Floating-point input of any shape; never modified.
        low: Lower bound :math:`l`: a number, or a tensor that broadcasts to ``x`` without enlarging it.
        high: Upper bound :math:`h`, likewise; nowhere below ``low``, which is not checked here.
        fill: What takes the place, likewise.

    Returns:
        A tensor of the shape, dtype and device of ``x``.

    Raises:
        ThresholdError: ``x`` is not floating-point, or a bound or the fill would enlarge it.

    Examples:
        >>> mended(torch.tensor([0.4, 1e9, float("nan")]), 0.0, 2.0, 0.7)
        tensor([0.4000, 0.7000, 0.7000])
    """
    floor = as_tensor(x, fit(x, low, "low")).to(x.dtype)
    ceiling = as_tensor(x, fit(x, high, "high")).to(x.dtype)
    usual = as_tensor(x, fit(x, fill, "fill")).to(x.dtype)
    return torch.where((x >= floor) & (x <= ceiling), x, usual)
