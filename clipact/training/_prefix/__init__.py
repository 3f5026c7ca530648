"""What a frozen model computes before the first threshold that trains, computed once a batch."""

from clipact.training._prefix._cache import Memory, Prefix, prefix_of

__all__ = ["Memory", "Prefix", "prefix_of"]
