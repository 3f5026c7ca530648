"""The table in which a module registers its children."""

from torch import nn

__all__ = ["registered"]


def registered(module: nn.Module) -> dict[str, nn.Module | None]:
    """The table itself: torch's own methods refuse digits, skip repeated objects and change the order."""
    return module.__dict__["_modules"]
