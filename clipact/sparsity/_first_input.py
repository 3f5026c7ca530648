"""What a module was given first."""

from collections.abc import Mapping
from typing import Any

__all__ = ["first_input"]


def first_input(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The first argument of a call, whether it was passed by position or by name.

    Examples:
        >>> first_input((1, 2), {}), first_input((), {"x": 3})
        (1, 3)
    """
    return args[0] if args else next(iter(kwargs.values()))
