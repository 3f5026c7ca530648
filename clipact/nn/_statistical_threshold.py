"""The module of the activation whose threshold follows the mean and the deviation of each row."""

import math
from typing import ClassVar, final

import torch.fx
from torch import Tensor, nn

from clipact._mean_field import clipped
from clipact.functional._statistical_threshold import Dims, at_quantile, normal_quantile
from clipact.nn._base import Activation

# a symbolic trace of a model records the call instead of looking into it
torch.fx.wrap("at_quantile")


@final
class StatisticalThreshold(Activation):
    r"""The module of :func:`clipact.functional.statistical_threshold`, with the quantile computed once.

    Args:
        sparsity: The share of zeros wanted, in (0, 1), in each row that is Gaussian.
        m: The largest output, in units of the row's deviation: a number, infinity for no clip, or a tensor, as in
            :class:`CReLU`. It is copied; at least 0.
        dims: What makes a row: the last dimension, or ``(-3, -2, -1)`` for images.

    Shape:
        Input and output: any shape with these dimensions, to which ``m`` broadcasts without enlarging it.

    Raises:
        SparsityError: The sparsity is not in (0, 1).
        ThresholdError: ``m`` is NaN, negative, empty or not floating-point.

    Examples:
        >>> import torch
        >>> StatisticalThreshold(0.5)(torch.tensor([[0.0, 1.0, 2.0, 3.0]]))
        tensor([[0.0000, 0.0000, 0.5000, 1.5000]])
    """

    threshold_names: ClassVar[tuple[str, ...]] = ("m",)
    m: nn.Parameter

    def __init__(self, sparsity: float, m: float | Tensor = math.inf, *, dims: Dims = -1) -> None:
        super().__init__()
        self.quantile = normal_quantile(sparsity)
        self.sparsity = sparsity
        self.dims = dims
        self._register_threshold("m", m)

    @classmethod
    def from_sparsity(
        cls, sparsity: float, slope: float | None = None, *, dims: Dims = -1
    ) -> "StatisticalThreshold":
        """The clip of the :class:`CReLU` that has this sparsity and slope.

        Args:
            sparsity: In [0.5, 1).
            slope: As in :meth:`CReLU.from_sparsity`.
            dims: What makes a row.

        Raises:
            SparsityError: Sparsity or slope is out of range.

        Examples:
            >>> StatisticalThreshold.from_sparsity(0.85)
            StatisticalThreshold(sparsity=0.85, m=1.2796, dims=-1)
        """
        law = clipped(cls.__name__, sparsity, slope, 1.0, two_sided=False)
        return cls(sparsity, law.m, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activation."""
        return at_quantile(x, self.quantile, self.m, self.dims)

    def out_of_range(self, x: Tensor) -> Tensor:
        """Where ``x`` is NaN: what is large is relative to the row."""
        return x.isnan()

    def extra_repr(self) -> str:
        """Sparsity, clip and rows."""
        return f"sparsity={self.sparsity:g}, {super().extra_repr()}, dims={self.dims}"
