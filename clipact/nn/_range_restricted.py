"""Modules that hold the output of another module within a range."""

from typing import ClassVar, final

import torch
import torch.fx
from torch import Tensor, nn

from clipact.errors import ThresholdError
from clipact.functional import output_guard, range_restricted
from clipact.functional._threshold import at_dtype
from clipact.nn._base import Activation, check_granularities

# a symbolic trace of a model records the call instead of looking into it
torch.fx.wrap("output_guard")
torch.fx.wrap("range_restricted")


class Ranged(Activation):
    """Owns the thresholds ``low`` and ``high``."""

    threshold_names: ClassVar[tuple[str, ...]] = ("low", "high")
    low: nn.Parameter
    high: nn.Parameter

    def _register_range(self, low: float | Tensor, high: float | Tensor) -> None:
        self._register_threshold("low", low, minimum=-torch.inf)
        self._register_threshold("high", high, minimum=-torch.inf)
        _check_order(self.low, self.high, type(self).__name__)

    def outside(self, y: Tensor) -> Tensor:
        """Which elements of the signal that is restricted lie outside the range or are NaN."""
        return ~((y >= at_dtype(y, self.low)) & (y <= at_dtype(y, self.high)))


@final
class RangeRestricted(Ranged):
    r"""Any activation, its output held within a range by :func:`clipact.functional.range_restricted`.

    Args:
        activation: The module whose output is restricted; ``nn.Identity()`` restricts the input itself.
        low: Lower bound, a number or a tensor like any threshold. It is copied; it may be negative.
        high: Upper bound, likewise, nowhere below ``low``.
        zero: What lies outside drops to 0 instead of holding the bound.
        nan_to_zero: NaN becomes 0; with ``zero`` it always does.

    Shape:
        Input: what ``activation`` takes. Output: what it gives; both thresholds broadcast to that without enlarging it.

    Raises:
        ThresholdError: A bound is NaN, empty or not floating-point, or ``low`` is above ``high`` somewhere.

    Examples:
        >>> import torch
        >>> RangeRestricted(nn.GELU(), -0.2, 3.0)(torch.tensor([0.0, 9.0]))
        tensor([0., 3.])
    """

    def __init__(
        self,
        activation: nn.Module,
        low: float | Tensor,
        high: float | Tensor,
        *,
        zero: bool = False,
        nan_to_zero: bool = False,
    ) -> None:
        super().__init__()
        self.activation = activation
        self._register_range(low, high)
        self.zero = zero
        self.nan_to_zero = nan_to_zero

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation and restrict its output."""
        return range_restricted(
            self.activation(x), self.low, self.high, zero=self.zero, nan_to_zero=self.nan_to_zero
        )

    def out_of_range(self, x: Tensor) -> Tensor:
        """Where the activation's output for ``x`` is outside the range or NaN."""
        return self.outside(self.activation(x))


@final
class OutputGuard(Ranged):
    r"""The module of :func:`clipact.functional.output_guard`, for the logits of a classifier.

    Args:
        low: Class minimum, usually of shape ``(classes,)``. It is copied.
        high: Class maximum, likewise, nowhere below ``low``.

    Shape:
        Input and output: ``(..., classes)``.

    Raises:
        ThresholdError: A bound is NaN, empty or not floating-point, or ``low`` is above ``high`` somewhere.

    Examples:
        >>> import torch
        >>> OutputGuard(torch.tensor([-2.0, -3.0]), torch.tensor([5.0, 6.0]))(torch.tensor([[1e9, 4.0]]))
        tensor([[-2.,  4.]])
    """

    def __init__(self, low: float | Tensor, high: float | Tensor) -> None:
        super().__init__()
        self._register_range(low, high)

    def forward(self, x: Tensor) -> Tensor:
        """Guard the logits."""
        return output_guard(x, self.low, self.high)

    def out_of_range(self, x: Tensor) -> Tensor:
        """Where a logit is outside its calibrated range or NaN."""
        return self.outside(x)


def _check_order(low: Tensor, high: Tensor, owner: str) -> None:
    check_granularities(owner, low=low, high=high)
    if low.device.type != "meta" and bool((low > high).any()):
        raise ThresholdError(f"{owner} got low above high in places; swap them or calibrate again")
