"""The furthest step of a scale that is still fine, by bisection."""

from collections.abc import Callable


def furthest(fine: Callable[[int], bool], start: int, end: int) -> int:
    """The last step from ``start`` towards ``end`` that is fine, if what is fine comes before what is not.

    Where that is not so, it is a step that is fine, with one after it that is not. ``fine(start)`` is taken for granted.

    Args:
        fine: Whether a step is.
        start: A step that is.
        end: The last one.

    Examples:
        >>> furthest(lambda step: step <= 5, 0, 100)
        5
    """
    if end <= start or fine(end):
        return max(start, end)
    good, bad = start, end
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fine(middle) else (good, middle)
    return good
