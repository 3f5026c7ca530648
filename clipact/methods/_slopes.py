"""How steeply a smooth activation falls while its threshold is trained."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from clipact.errors import ThresholdError
from clipact.methods._checked import check_fields
from clipact.nn import Activation, HyReLU, RelativeHyReLU

__all__ = ["AbsoluteSlope", "RelativeSlope", "Slope"]


class Slope(ABC):
    """What the fall of a smooth activation is measured by."""

    @abstractmethod
    def activation(self, threshold: Tensor) -> Activation:
        """The activation with this threshold, as it is deployed."""

    @abstractmethod
    def anneal(self, activations: Iterable[nn.Module], done: float) -> None:
        """Set the slope of activations in training; ``done`` goes from 0 to 1."""


@final
@dataclass(frozen=True)
class AbsoluteSlope(Slope):
    """The papers' :func:`clipact.functional.hyrelu`: a slope per unit of the activation, whatever its threshold.

    Attributes:
        slope: The slope, positive and finite.
    """

    slope: float = 20.0

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 < self.slope < float("inf"):
            raise ThresholdError(f"{self} asked for; a slope is positive and finite")

    def activation(self, threshold: Tensor) -> Activation:
        """See :class:`Slope`."""
        return HyReLU(threshold, self.slope)

    def anneal(self, activations: Iterable[nn.Module], done: float) -> None:
        """It stays as it is."""


@final
@dataclass(frozen=True)
class RelativeSlope(Slope):
    """:func:`clipact.functional.relative_hyrelu`: a slope per threshold, which grows while the threshold is trained.

    A small threshold is not bent more than a large one, gradients reach far below the threshold at first, and the
    final form is close to the hard one that is deployed. The slope grows by the same factor each epoch.

    Attributes:
        start: Slope in the first epoch of a stage, at least 1.
        end: Slope after the last, and of activations that do not train.
    """

    start: float = 10.0
    end: float = 100.0

    def __post_init__(self) -> None:
        check_fields(self)
        if not 1 <= self.start <= self.end < float("inf"):
            raise ThresholdError(
                f"{self} asked for; slopes are at least 1 and finite, and do not fall from start to end"
            )

    def activation(self, threshold: Tensor) -> Activation:
        """See :class:`Slope`."""
        return RelativeHyReLU(threshold, self.end)

    def anneal(self, activations: Iterable[nn.Module], done: float) -> None:
        """See :class:`Slope`."""
        slope = self.start * (self.end / self.start) ** done
        for activation in activations:
            if isinstance(activation, RelativeHyReLU):
                activation.slope = slope
