"""Names in a message."""

from collections.abc import Sequence


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first ``most`` names, and how many there are beyond them."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
