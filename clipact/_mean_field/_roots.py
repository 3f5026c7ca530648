"""The root of a function between two points where its signs differ."""

from collections.abc import Callable


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where the function is 0, to the last digits: bisection, sped up by secants that stay inside the bracket.

    Args:
        function: Continuous, of different signs at ``low`` and ``high``.
        low: One end of the bracket.
        high: The other.
    """
    at_low, at_high = function(low), function(high)
    for turn in range(200):
        middle = 0.5 * (low + high)
        secant = low - at_low * (high - low) / (at_high - at_low) if at_high != at_low else middle
        guess = secant if turn % 3 and low < secant < high else middle
        value = function(guess)
        if value == 0.0 or not low < middle < high:
            return guess
        if (value > 0.0) == (at_high > 0.0):
            high, at_high = guess, value
        else:
            low, at_low = guess, value
    return 0.5 * (low + high)
