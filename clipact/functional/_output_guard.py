"""A guard for logits: what lies outside its calibrated range becomes the class minimum."""

import torch
from torch import Tensor

from clipact.functional._threshold import as_tensor, fit


def output_guard(x: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    r"""Logits outside their calibrated range, or NaN, become the minimum of their class.

    .. math::
        y = \begin{cases} x & l \le x \le h \\ l & \text{otherwise} \end{cases}

    Use it on the output of a classifier: a faulty logit then loses the vote, where a clamped one would still win it.

    :math:`\pm\infty` and NaN give :math:`l`; an infinity within an infinite bound passes.

    Gradients: :math:`\partial y/\partial x = 1` for :math:`l \le x \le h`, else 0, and
    :math:`\partial y/\partial l = 1` where :math:`l` is put; :math:`h` receives none.

    Args:
        x: Floating-point logits ``(..., classes)``; never modified.
        low: Class minimum :math:`l`: a number, or a tensor that broadcasts to ``x`` without enlarging it.
        high: Class maximum :math:`h`, likewise; nowhere below ``low``, which is not checked here.

    Returns:
        A tensor of the shape, dtype and device of ``x``.

    Raises:
        ThresholdError: ``x`` is not floating-point, or a bound would enlarge it.

    Examples:
        >>> output_guard(torch.tensor([4.0, 1e9, float("nan")]), -2.0, 8.0)
        tensor([ 4., -2., -2.])
    """
    floor = as_tensor(x, fit(x, low, "low")).to(x.dtype)
    ceiling = as_tensor(x, fit(x, high, "high")).to(x.dtype)
    return torch.where((x >= floor) & (x <= ceiling), x, floor)
