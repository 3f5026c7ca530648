"""The random state of Python and NumPy, which models may draw from."""

import random
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

__all__ = ["kept_randomness"]


@contextmanager
def kept_randomness() -> Generator[Callable[[], bool]]:
    """Put the global states of ``random`` and ``numpy.random`` back on exit.

    Yields:
        A function that says whether either differs from what it was.
    """
    numpy: Any = sys.modules.get("numpy")
    before = random.getstate()
    before_numpy = None if numpy is None else numpy.random.get_state()

    def drawn() -> bool:
        if numpy is None:
            return random.getstate() != before
        return random.getstate() != before or not _equal(numpy.random.get_state(), before_numpy)

    try:
        yield drawn
    finally:
        random.setstate(before)
        if numpy is not None:
            numpy.random.set_state(before_numpy)


def _equal(one: Any, other: Any) -> bool:
    """Of two states of NumPy's: name, words, position and what is left of a pair of normal numbers."""
    return one[0] == other[0] and one[1].tobytes() == other[1].tobytes() and one[2:] == other[2:]
