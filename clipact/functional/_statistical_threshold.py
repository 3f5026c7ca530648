"""An activation whose threshold follows the mean and the deviation of each row."""

import math
from statistics import NormalDist

import torch
from torch import Tensor

from clipact.errors import SparsityError
from clipact.functional._crelu import crelu
from clipact.functional._shifted_relu import shifted_relu
from clipact.functional._threshold import fit

Dims = int | tuple[int, ...]


def statistical_threshold(
    x: Tensor, sparsity: float, m: float | Tensor = math.inf, *, dims: Dims = -1
) -> Tensor:
    r"""Clipped shifted ReLU whose thresholds follow each row: :math:`y = \min(\max(x - \mu - \sigma\,\Phi^{-1}(s), 0), m\sigma)`.

    :math:`\mu` and :math:`\sigma` are the mean and the standard deviation (of the row, not an estimate for more) over
    ``dims``. Of a row that is Gaussian, whatever its mean and variance, the share :math:`s` becomes zero; no sorting is
    needed, and nothing is learned. Use it where the distribution drifts, and :func:`k_winners` where the share must be
    exact.

    A row with an infinity or NaN is NaN throughout: its mean and deviation are. A constant row gives 0. Gradients flow
    through :math:`\mu` and :math:`\sigma`; kinks as in :func:`crelu`.

    Args:
        x: Floating-point input of any shape; never modified.
        sparsity: :math:`s`, the share of zeros wanted, in (0, 1).
        m: The largest output, in units of the row's deviation: at least 0, infinity for no clip. A number, or a tensor that
            broadcasts to ``x`` without enlarging it.
        dims: What makes a row: the last dimension (features of a token or sample), or ``(-3, -2, -1)`` for images.

    Returns:
        A tensor of the shape, dtype, device and memory format of ``x``.

    Raises:
        SparsityError: The sparsity is not in (0, 1).
        ThresholdError: ``x`` is not floating-point, or ``m`` would enlarge it.

    References:
        The threshold is that of the "statistical top-k" of Gemma 3n (2025); the clip that of Price et al., ICLR 2024, arXiv
        2402.16184.

    Examples:
        >>> x = torch.tensor([[0.0, 1.0, 2.0, 3.0], [10.0, 30.0, 50.0, 70.0]])
        >>> statistical_threshold(x, 0.5)
        tensor([[ 0.0000,  0.0000,  0.5000,  1.5000],
                [ 0.0000,  0.0000, 10.0000, 30.0000]])
        >>> statistical_threshold(x, 0.5, m=1.0)
        tensor([[ 0.0000,  0.0000,  0.5000,  1.1180],
                [ 0.0000,  0.0000, 10.0000, 22.3607]])
    """
    return at_quantile(x, normal_quantile(sparsity), m, dims)


def at_quantile(x: Tensor, quantile: float, m: float | Tensor, dims: Dims) -> Tensor:
    """The activation, from the quantile of the standard normal that belongs to the sparsity."""
    m = fit(x, m, "m")
    if x.numel() == 0:
        return x.clone()
    rows = dims if x.dim() else ()
    mean, std = x.mean(rows, keepdim=True), x.std(rows, correction=0, keepdim=True)
    tau = mean + quantile * std
    if isinstance(m, Tensor):
        # infinity times the deviation of a constant row would be NaN, and so would its gradient
        unlimited = m.isinf()
        return crelu(x, tau, torch.where(unlimited, m, m.masked_fill(unlimited, 0.0) * std))
    return shifted_relu(x, tau) if m == math.inf else crelu(x, tau, m * std)


def normal_quantile(sparsity: float) -> float:
    """Below which this share of a standard normal lies.

    Raises:
        SparsityError: The share is not in (0, 1).
    """
    if not 0.0 < sparsity < 1.0:
        raise SparsityError(
            f"a sparsity of {sparsity:g} was asked for; it is a share of zeros: give a number between 0 and 1, such as 0.85"
        )
    return NormalDist().inv_cdf(sparsity)
