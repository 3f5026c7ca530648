"""The modules of the activation that keeps the largest values of each row."""

import math
from typing import ClassVar, final

import torch
from torch import Tensor

from clipact.errors import SparsityError
from clipact.functional import k_winners
from clipact.nn._base import Activation

# a symbolic trace of a model records the call instead of looking into it
torch.fx.wrap("k_winners")
torch.fx.wrap("boosted_winners")
torch.fx.wrap("note_winners")


class _KWinners(Activation):
    """Keeps the share of cases in which each unit wins, where that is to be evened out."""

    threshold_names: ClassVar[tuple[str, ...]] = ()
    duty_cycle: Tensor

    def __init__(
        self, sparsity: float, units: int | None, boost: float, momentum: float, unit: str
    ) -> None:
        super().__init__()
        if not 0.0 < sparsity < 1.0:
            raise SparsityError(
                f"{type(self).__name__} was asked for a sparsity of {sparsity:g}; it is a share of zeros: give a number between"
                " 0 and 1, such as 0.85"
            )
        if not 0.0 <= boost < math.inf or not 0.0 < momentum <= 1.0:
            raise SparsityError(
                f"{type(self).__name__} got boost={boost:g} and momentum={momentum:g}; a boost is at least 0 and finite, a"
                " momentum in (0, 1]"
            )
        if boost > 0.0 and units is None:
            raise SparsityError(
                f"{type(self).__name__} got boost={boost:g} but no {unit}=; it needs their number to keep a duty cycle of each"
            )
        if units is not None and units < 1:
            raise SparsityError(
                f"{type(self).__name__} got {unit}={units}; it is their number: give at least 1"
            )
        self.sparsity, self.boost, self.momentum = sparsity, boost, momentum
        if boost > 0.0 and units is not None:
            self.register_buffer("duty_cycle", torch.full((units,), 1.0 - sparsity))

    def out_of_range(self, x: Tensor) -> Tensor:
        """Where ``x`` is NaN: what is large is relative to the row."""
        return x.isnan()

    def extra_repr(self) -> str:
        """Sparsity, and boost if any."""
        boost = f", boost={self.boost:g}" if self.boost else ""
        return f"sparsity={self.sparsity:g}{boost}"

    def _compete(self, x: Tensor, dims: tuple[int, ...]) -> Tensor:
        """Over these dimensions, of which the first counts the units."""
        if not self.boost:
            return k_winners(x, self.sparsity, dims=dims)
        y = boosted_winners(x, self.duty_cycle, self.sparsity, self.boost, dims)
        return note_winners(y, self.duty_cycle, dims[0], self.momentum) if self.training else y


def boosted_winners(
    x: Tensor, duty_cycle: Tensor, sparsity: float, boost: float, dims: tuple[int, ...]
) -> Tensor:
    """The winners over these dimensions, of which the first counts the units with this duty cycle."""
    boosts = boost * ((1.0 - sparsity) - duty_cycle)
    return k_winners(x, sparsity, boosts.reshape(-1, *(1,) * (len(dims) - 1)), dims=dims)


def note_winners(y: Tensor, duty_cycle: Tensor, axis: int, momentum: float) -> Tensor:
    """Move the duty cycle, one value for each unit along an axis of the output, and give that back."""
    if y.numel() and y.dim():
        others = tuple(d for d in range(y.dim()) if d != axis % y.dim())
        won = (y.detach() != 0).to(duty_cycle.dtype)
        duty_cycle.lerp_(won.mean(others) if others else won, momentum)
    return y


@final
class KWinners(_KWinners):
    r"""The module of :func:`clipact.functional.k_winners` over the last dimension, boosted where some units win too often.

    With a boost :math:`\beta > 0`, unit :math:`i` competes as :math:`x_i e^{\beta (1 - s - d_i)}`, where :math:`d_i` is the
    share of recent cases in which it won, so that no unit stays silent for long. It is updated in training mode; in eval mode
    the last one stays in force. A symbolic trace (:mod:`torch.fx`) stays in the mode in which it was made.

    Args:
        sparsity: :math:`s`, the share of zeros in each row, in (0, 1).
        features: Size of the last dimension; only needed with a boost.
        boost: :math:`\beta`, at least 0.
        momentum: Weight of the newest batch in the duty cycle.

    Shape:
        Input and output: :math:`(*, F)`.

    Note:
        Activation checkpointing runs a forward of the training a second time, with a duty cycle that has moved meanwhile, so
        that other units may win and get the gradients: with a boost, keep it out of what is checkpointed.

    Raises:
        SparsityError: Sparsity, boost or momentum is out of range, or the number of features is missing.
        ThresholdError: On a call with a boost, the input has another number of features.

    Examples:
        >>> KWinners(0.5)(torch.tensor([[1.0, -2.0, 4.0, 3.0]]))
        tensor([[0., 0., 4., 3.]])
        >>> act = KWinners(0.5, features=2, boost=1.0)
        >>> act(torch.tensor([[1.0, 2.0]])).tolist(), act.duty_cycle.tolist()
        ([[0.0, 2.0]], [0.49..., 0.50...])
    """

    def __init__(
        self,
        sparsity: float,
        *,
        features: int | None = None,
        boost: float = 0.0,
        momentum: float = 0.01,
    ) -> None:
        super().__init__(sparsity, features, boost, momentum, "features")

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        return self._compete(x, (-1,))


@final
class KWinners2d(_KWinners):
    r"""The module of :func:`clipact.functional.k_winners` over all maps of a sample, boosted by channel.

    Args:
        sparsity: :math:`s`, the share of zeros in each sample, in (0, 1).
        channels: :math:`C`; only needed with a boost.
        boost: As in :class:`KWinners`, with the share of a channel's places that won as its duty cycle.
        momentum: Weight of the newest batch in the duty cycle.

    Shape:
        Input and output: :math:`(N, C, H, W)` or :math:`(C, H, W)`.

    Raises:
        SparsityError: Sparsity, boost or momentum is out of range, or the number of channels is missing.
        ThresholdError: On a call, the input is no image; or, with a boost, has another number of channels.

    Examples:
        >>> KWinners2d(0.75)(torch.tensor([[[[1.0, 2.0]], [[4.0, 3.0]]]]))
        tensor([[[[0., 0.]],
                 [[4., 0.]]]])
    """

    def __init__(
        self,
        sparsity: float,
        *,
        channels: int | None = None,
        boost: float = 0.0,
        momentum: float = 0.01,
    ) -> None:
        super().__init__(sparsity, channels, boost, momentum, "channels")

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        return self._compete(x, (-3, -2, -1))
