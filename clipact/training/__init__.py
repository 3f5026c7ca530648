"""Train thresholds, a stage at a time, in any training loop."""

from clipact.training._descent import Descent
from clipact.training._frozen_norms import frozen_norms
from clipact.training._levels import Levels, Slopes
from clipact.training._objective import Objective
from clipact.training._order import Group, Order, first_last, last_first
from clipact.training._pacer import Length, Pacer
from clipact.training._progression import Progression
from clipact.training._progressive import progressive
from clipact.training._scheduled import Scheduled
from clipact.training._stage import Stage

__all__ = [
    "Descent",
    "Group",
    "Length",
    "Levels",
    "Objective",
    "Order",
    "Pacer",
    "Progression",
    "Scheduled",
    "Slopes",
    "Stage",
    "first_last",
    "frozen_norms",
    "last_first",
    "progressive",
]
