"""Spikes at a Hoyer threshold: what fires, and the gradient that stands in for that of a step."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from clipact.errors import SpikingError
from clipact.functional._hoyer import hoyer_extremum
from clipact.functional._hoyer_box import Box
from clipact.functional._hoyer_kernels import Spike, Staircase
from clipact.functional._hoyer_sums import TINY, magnitude
from clipact.functional._run import run
from clipact.functional._threshold import as_tensor, fit

Surrogate = Callable[[Tensor], Tensor]
"""A step with a gradient of its own: 1 where its argument is positive, as those of ``snntorch.surrogate``."""


def hoyer_spike(  # noqa: PLR0913 - the names of the method, all but three by keyword and with the paper's values
    x: Tensor,
    v_threshold: float | Tensor = 1.0,
    extremum: float | Tensor | None = None,
    *,
    levels: int = 1,
    spike_grad: Surrogate | None = None,
    window: tuple[float, float] = (0.0, 2.0),
    grad_scale: float = 0.5,
    nan_to_zero: bool = True,
) -> Tensor:
    r"""Spike where the input reaches the Hoyer threshold: :math:`s = 1` if :math:`x \ge |V| E`, else 0.

    Use it instead of a ReLU for a network that spikes once per inference: its spikes are two-valued, so the next layer
    needs no multiplications.

    With several ``levels`` :math:`D` the output is :math:`k |V| / D`, where :math:`k` of the thresholds
    :math:`|V| (j - 1 + E) / D`, :math:`j = 1 \dots D`, are reached: as many spikes of the size :math:`|V| / D`, sent at
    once. A single level gives 1 instead of :math:`|V|`: whatever follows absorbs the factor.

    :math:`+\infty` gives the highest level, :math:`-\infty` gives 0, and NaN gives 0 unless ``nan_to_zero`` is off.

    Gradients, with :math:`z = x / |V|`: a step has none that helps, so that of a surrogate takes its place,
    :math:`\partial s / \partial z = g \cdot 1[a < z \le b]` with the window :math:`(a, b]` and the scale :math:`g`. The
    clip value gets its own through :math:`z`, and with several levels also as the size of the output; the extremum gets
    none. At NaN and :math:`\pm\infty` all are 0. The input is kept for the backward pass, nothing else.

    Note:
        A ``spike_grad`` decides both the spikes and their gradient. It sees :math:`x D / |V| - (j - 1 + E)` for each
        level; surrogates of snntorch fire where this is strictly positive, so that an input exactly at its threshold
        does not. Its gradients at infinities and NaN are its own.

    Args:
        x: Floating-point pre-activation of any shape; never modified.
        v_threshold: :math:`V`, the clip value: a number, or a tensor that broadcasts to ``x`` without enlarging it. Its
            absolute value is used, which is never taken as less than 6.1e-5.
        extremum: :math:`E`: a number, or a tensor that broadcasts like the clip value; None for :func:`hoyer_extremum` of
            this input.
        levels: :math:`D`, how many spikes can be sent at once.
        spike_grad: A surrogate such as ``snntorch.surrogate.atan()``, used instead of the box.
        window: The box :math:`(a, b]`, in clip values.
        grad_scale: The height :math:`g` of the box.
        nan_to_zero: NaN gives 0; otherwise it is passed on.

    Returns:
        A tensor of the shape, dtype and device of ``x``.

    Raises:
        ThresholdError: ``x`` is not floating-point, or ``v_threshold`` or ``extremum`` would enlarge it.
        SpikingError: ``levels``, ``window`` or ``grad_scale`` have no meaning, or ``spike_grad`` returns another shape.

    References:
        Datta, Liu, Beerel, "Hoyer regularizer is all you need for ultra low-latency spiking neural networks",
        arXiv 2212.10170.

    Examples:
        >>> hoyer_spike(torch.tensor([-1.0, 0.5, 0.9, 7.0]), 1.0, 0.8)
        tensor([0., 0., 1., 1.])
        >>> hoyer_spike(torch.tensor([-1.0, 0.5, 0.9, 7.0]), 2.0, 0.5, levels=4)
        tensor([0.0000, 0.5000, 1.0000, 2.0000])
    """
    check_surrogate(levels, window, grad_scale)
    if extremum is None:
        extremum = hoyer_extremum(x, v_threshold, levels=levels)
    place = extremum.detach() if isinstance(extremum, Tensor) else extremum
    if spike_grad is not None:
        y = _with_surrogate(x, v_threshold, place, levels, spike_grad)
    elif levels == 1:
        y = run(Spike(Box(*window, grad_scale)), x, v_threshold, limit(v_threshold, place))
    else:  # steps closer than the input is exact
        exact = x.to(torch.promote_types(x.dtype, torch.float32)) if x.is_floating_point() else x
        y = run(Staircase(levels, Box(*window, grad_scale)), exact, v_threshold, place)
        y = y.to(x.dtype)
    return y if nan_to_zero else torch.where(x.isnan(), x.detach(), y)


def limit(v_threshold: float | Tensor, extremum: float | Tensor) -> float | Tensor:
    """The smallest input that spikes where there is one level, without gradients."""
    if isinstance(v_threshold, Tensor):
        return magnitude(v_threshold.detach()) * extremum
    return max(abs(v_threshold), TINY) * extremum


def check_surrogate(levels: int, window: tuple[float, float], grad_scale: float) -> None:
    """Refuse what has no meaning.

    Raises:
        SpikingError: No whole number of levels, a window that is empty or infinite, or a scale that is not positive and
            finite.
    """
    if not isinstance(levels, int) or levels < 1:  # pyright: ignore[reportUnnecessaryIsInstance] - callers may not check types
        raise SpikingError(
            f"levels={levels!r} was asked for; a neuron sends a whole number of spikes, 1 at least"
        )
    low, high = window if len(window) == 2 else (0.0, 0.0)
    if not -math.inf < low < high < math.inf:
        raise SpikingError(
            f"window={window} is no interval for the surrogate gradient; give finite bounds (low, high), for example (0, 2)"
        )
    if not 0 < grad_scale < math.inf:
        raise SpikingError(
            f"grad_scale={grad_scale} was asked for; it must be positive and finite, for example 0.5"
        )


def _with_surrogate(
    x: Tensor, v_threshold: float | Tensor, extremum: float | Tensor, levels: int, step: Surrogate
) -> Tensor:
    size = magnitude(as_tensor(x, fit(x, v_threshold, "v_threshold")))
    place = as_tensor(x, fit(x, extremum, "extremum"))
    reached = (x / size.to(x.dtype)) * levels - place.to(x.dtype)
    y = sum(_fire(step, reached - level) for level in range(levels))
    assert isinstance(y, Tensor)
    return y.to(x.dtype) if levels == 1 else (y * (size / levels)).to(x.dtype)


def _fire(step: Surrogate, reached: Tensor) -> Tensor:
    spikes = step(reached)
    if not isinstance(spikes, Tensor) or spikes.shape != reached.shape:  # pyright: ignore[reportUnnecessaryIsInstance] - a caller's function
        found = f"shape {tuple(spikes.shape)}" if isinstance(spikes, Tensor) else f"{spikes!r}"  # pyright: ignore[reportUnnecessaryIsInstance] - the same
        raise SpikingError(
            f"spike_grad returned {found} for an input of shape {tuple(reached.shape)}; a surrogate returns one value for"
            " each, as snntorch.surrogate.atan() does"
        )
    return spikes
