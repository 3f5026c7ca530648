"""Clip to zero: drop every activation past its profiled maximum."""

from dataclasses import dataclass
from typing import final

from torch import nn

from clipact.calibration import Batches, Granularity
from clipact.methods._base import Method, Scope
from clipact.methods._bounds import Bounds, install
from clipact.methods._checked import check_fields
from clipact.methods._zeroed import zeroed
from clipact.surgery import Receipt


@final
@dataclass(frozen=True)
class ClipToZero(Method):
    """Zero past the profiled maximum (two-sided for activations that go below zero); NaN becomes 0.

    A value no fault-free input ever produced is more likely a fault than a feature, and 0 is the value a rectified
    network is most used to. The activation of FT-ClipAct, without its search for a smaller threshold.

    Attributes:
        granularity: One threshold a ``"layer"``, ``"channel"`` or ``"neuron"``.
        percentile: Threshold at this percentile of the profiled activations instead of their maximum (100).
        margin: Factor on the threshold; above 1 leaves room for data the calibration did not show.
        output_guard: Also map a logit outside its profiled range to its class minimum: the last layer has no
            activation behind it, and one wrong huge logit decides the prediction.
        guard_margin: Factor on that range. New data goes a little beyond the range of the training data, and a logit
            that does is lost; faults go far beyond it.
        channel_dim: Axis that counts channels, batch included, where the default is wrong: 1 behind ``nn.Conv1d``.

    Note:
        An activation that has a bound of its own, such as ReLU6, takes a huge faulty value for one at that
        bound; it is only what leaves the range *behind* the activation that becomes 0.

    References:
        Hoang, Hanif, Shafique, *FT-ClipAct: Resilience Analysis of Deep Neural Networks and Improving their Fault
        Tolerance using Clipped Activation*, DATE 2020 (the clipped activation).
    """

    granularity: Granularity | str = Granularity.LAYER
    percentile: float = 100.0
    margin: float = 1.0
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
        return install(model, train, scope, self._bounds(), zeroed, guard=self._guard())

    def _bounds(self) -> Bounds:
        return Bounds(self.granularity, self.percentile, self.margin, self.channel_dim)

    def _guard(self) -> Bounds | None:
        return Bounds(Granularity.NEURON, 100.0, self.guard_margin) if self.output_guard else None
