"""How steeply a smooth activation falls while its threshold is trained."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from clipact.errors import ThresholdError
from clipact.nn import Activation, HyReLU

__all__ = ["AbsoluteSlope", "Slope"]


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
        if not 0 < self.slope < float("inf"):
            raise ThresholdError(f"{self} asked for; a slope is positive and finite")

    def activation(self, threshold: Tensor) -> Activation:
        """See :class:`Slope`."""
        return HyReLU(threshold, self.slope)

    def anneal(self, activations: Iterable[nn.Module], done: float) -> None:
        """It stays as it is."""
