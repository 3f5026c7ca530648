"""What a mean-field theory needs to know of an activation."""

from typing import Protocol


class Moments(Protocol):
    """Expectations of an activation over Gaussian inputs of mean 0 and variance ``q``."""

    def second_moment(self, q: float) -> float:
        """Mean of the squared output."""
        ...

    def second_moment_slope(self, q: float) -> float:
        """Its derivative with respect to ``q``."""
        ...

    def second_moment_curvature(self, q: float) -> float:
        """Its second derivative."""
        ...

    def squared_slope(self, q: float) -> float:
        """Mean of the squared derivative of the activation."""
        ...

    def zeros(self, q: float) -> float:
        """Share of outputs that are exactly zero."""
        ...

    def product(self, q: float, correlation: float) -> float:
        """Mean of the product of the outputs for two inputs of this correlation."""
        ...
