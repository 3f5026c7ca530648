"""Ranger: hold every activation within its profiled range."""

from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from clipact.calibration import Batches, Granularity
from clipact.methods._base import Method, Scope
from clipact.methods._bounds import Bounds, install
from clipact.methods._checked import check_fields
from clipact.nn import RangeRestricted, SaturatedReLU
from clipact.surgery import Receipt, Site


@final
@dataclass(frozen=True)
class Ranger(Method):
    """Saturate at the profiled maximum (and minimum, for activations that go below zero).

    Attributes:
        granularity: One threshold a ``"layer"`` (the paper's), ``"channel"`` or ``"neuron"``.
        percentile: Threshold at this percentile of the profiled activations instead of their maximum (100).
        margin: Factor on the threshold; above 1 leaves room for data the calibration did not show.
        nan_to_zero: Turn NaN into 0 as well; a plain clamp lets NaN through.
        output_guard: Also map a logit outside its profiled range to its class minimum.
        guard_margin: Factor on that range.
        channel_dim: Axis that counts channels, batch included, where the default is wrong: 1 behind ``nn.Conv1d``.

    Note:
        The paper restricts after the activation and again after pooling, reshaping and concatenation; those
        cannot leave the range of their inputs, so once is enough. It does not say what becomes of NaN, which
        flipped exponent bits produce in floating point: here it is 0 unless ``nan_to_zero=False``.

    References:
        Chen, Li, Pattabiraman, *A Low-cost Fault Corrector for Deep Neural Networks through Range Restriction*,
        DSN 2021.
    """

    granularity: Granularity | str = Granularity.LAYER
    percentile: float = 100.0
    margin: float = 1.0
    nan_to_zero: bool = True
    output_guard: bool = False
    guard_margin: float = 1.25
    channel_dim: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        self._bounds()
        Bounds(Granularity.NEURON, 100.0, self.guard_margin)

    def apply(
        self, model: nn.Module, train: Batches, validate: Batches | None, scope: Scope
    ) -> Receipt:
        """Profile and replace; held-out data is not needed and not used."""
        del validate
        return install(model, train, scope, self._bounds(), self._make, guard=self._guard())

    def _bounds(self) -> Bounds:
        return Bounds(self.granularity, self.percentile, self.margin, self.channel_dim)

    def _guard(self) -> Bounds | None:
        return Bounds(Granularity.NEURON, 100.0, self.guard_margin) if self.output_guard else None

    def _make(self, site: Site, low: Tensor, high: Tensor) -> nn.Module:
        if site.kind is nn.ReLU:
            return SaturatedReLU(high, nan_to_zero=self.nan_to_zero)
        return RangeRestricted(site.activation, low, high, nan_to_zero=self.nan_to_zero)
