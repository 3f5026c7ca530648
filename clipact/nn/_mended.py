"""The module of an activation whose values out of range are replaced by what is usual."""

from typing import ClassVar, final

import torch.fx
from torch import Tensor, nn

from clipact.functional import mended
from clipact.nn._base import check_granularities
from clipact.nn._range_restricted import Ranged

# a symbolic trace of a model records the call instead of looking into it
torch.fx.wrap("mended")


@final
class Mended(Ranged):
    r"""Any activation, its output mended by :func:`clipact.functional.mended`.

    Args:
        activation: The module whose output is mended; ``nn.Identity()`` mends the input itself.
        low: Lower bound, a number or a tensor like any threshold. It is copied; it may be negative.
        high: Upper bound, likewise, nowhere below ``low``.
        fill: What takes the place of values outside, likewise; the mean of healthy values, usually. It may have
            another granularity than the bounds, and gets gradients, which they do not.

    Shape:
        Input: what ``activation`` takes. Output: what it gives; bounds and fill broadcast to that without enlarging it.

    Raises:
        ThresholdError: A value is NaN, empty or not floating-point, or ``low`` is above ``high`` somewhere.

    Examples:
        >>> import torch
        >>> Mended(nn.ReLU(), 0.0, 3.0, 0.5)(torch.tensor([-1.0, 2.0, 9.0, float("nan")]))
        tensor([0.0000, 2.0000, 0.5000, 0.5000])
    """

    threshold_names: ClassVar[tuple[str, ...]] = ("low", "high", "fill")
    fill: nn.Parameter

    def __init__(
        self,
        activation: nn.Module,
        low: float | Tensor,
        high: float | Tensor,
        fill: float | Tensor,
    ) -> None:
        super().__init__()
        self.activation = activation
        self._register_range(low, high)
        self._register_threshold("fill", fill, minimum=-torch.inf)
        check_granularities(type(self).__name__, low=self.low, high=self.high, fill=self.fill)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation and mend its output."""
        return mended(self.activation(x), self.low, self.high, self.fill)

    def out_of_range(self, x: Tensor) -> Tensor:
        """Where the activation's output for ``x`` is outside the range or NaN."""
        return self.outside(self.activation(x))
