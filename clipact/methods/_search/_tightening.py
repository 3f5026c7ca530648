"""Tighten thresholds as long as clean accuracy stays within a budget."""

from collections.abc import Sequence
from typing import final

from clipact.errors import CalibrationError
from clipact.methods._history import History
from clipact.methods._search._accuracy import Accuracy
from clipact.methods._search._bisection import furthest
from clipact.methods._search._tails import TAILS, TailedSite


@final
class Tightening:
    """Moves percentiles and keeps count.

    Args:
        accuracy: On held-out data.
        before: How many samples were right before the model was protected.
        allowed: How many more may be wrong.
    """

    def __init__(self, accuracy: Accuracy, before: int, allowed: int) -> None:
        self.history = History()
        self._accuracy, self._before, self._allowed = accuracy, before, allowed
        self._seen: dict[tuple[int, ...], int] = {}

    def together(self, sites: Sequence[TailedSite]) -> None:
        """Give all sites the smallest percentile, one for all, that is within the budget.

        Raises:
            CalibrationError: The profiled extremes are not, or nothing was right before.
        """
        if not self._before:
            raise CalibrationError(
                f"the model classifies none of the {self._accuracy.samples} held-out samples correctly, so that no threshold"
                " could lose accuracy; look for other numbers of the classes in the labels, and for NaN in the data"
            )
        if not self._fits(sites, sites, 0):
            lost = self.history[-1]["drop"]
            raise CalibrationError(
                f"thresholds at the profiled maximum lose {lost:.3g} of the accuracy on validate already, more than the budget of"
                f" {self._allowed / self._accuracy.samples:.3g}; calibrate with more data, or raise the budget"
            )
        step = furthest(lambda step: self._fits(sites, sites, step), 0, len(TAILS) - 1)
        for site in sites:
            site.set(step)

    def one_by_one(self, sites: Sequence[TailedSite]) -> None:
        """Tighten one site after the other as far as what is left of the budget allows."""
        for site in sites:
            step = furthest(
                lambda step, site=site: self._fits(sites, [site], step), site.step, len(TAILS) - 1
            )
            site.set(step)

    def _fits(self, sites: Sequence[TailedSite], moved: Sequence[TailedSite], step: int) -> bool:
        """Whether accuracy is within the budget when some sites are moved; it is measured once for each setting."""
        for site in moved:
            site.set(step)
        key = tuple(site.step for site in sites)
        if key not in self._seen:
            self._seen[key] = self._accuracy.correct()
        correct, held_out = self._seen[key], self._accuracy.samples
        fits = self._before - correct <= self._allowed
        self.history.append(
            {
                "site": moved[0].name if len(moved) == 1 < len(sites) else None,
                "percentile": moved[0].percentile,
                "accuracy": correct / held_out,
                "drop": (self._before - correct) / held_out,
                "accepted": fits,
            }
        )
        return fits
