"""Where a campaign's trials stay: one SQLite file, exactly once by trial, whatever is killed when."""

from clipact.faults._store._identity import Identity
from clipact.faults._store._merge import merge
from clipact.faults._store._store import Store

__all__ = ["Identity", "Store", "merge"]
