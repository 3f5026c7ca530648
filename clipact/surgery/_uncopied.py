"""Hooks that are of one model and not of its copies."""

from collections.abc import Callable
from typing import Any, final

__all__ = ["Uncopied"]


@final
class Uncopied:
    """A hook that does nothing in a copy of the model, whether copied or pickled.

    Args:
        hook: What it does in the model itself.
    """

    def __init__(self, hook: Callable[..., Any] | None) -> None:
        self._hook = hook

    def __call__(self, *args: Any) -> Any:
        return None if self._hook is None else self._hook(*args)

    def __reduce__(self) -> Any:
        return Uncopied, (None,)
