"""Climb from setting to setting as long as accuracy under faults rises and clean accuracy stays within a budget."""

from collections.abc import Callable, Sequence
from typing import final

from clipact.methods._history import History
from clipact.methods._search._accuracy import Accuracy
from clipact.methods._search._auc import Candidate
from clipact.methods._search._interval import better
from clipact.methods._search._trials import FaultyAccuracy
from clipact.methods._search._tuned_site import Setting, TunedSite

Settings = tuple[Setting, ...]


@final
class Climb:
    """The best settings so far, and what was tried.

    Args:
        sites: All sites.
        faulty: Measures draws of faults; the same for all settings.
        accuracy: Without faults, on held-out data.
        least: How many held-out samples must be right without faults; fewer, if the first setting has fewer.
        seen: Called after each setting.
    """

    def __init__(
        self,
        sites: Sequence[TunedSite],
        faulty: FaultyAccuracy,
        accuracy: Accuracy,
        least: int,
        seen: Callable[[], None],
    ) -> None:
        self.history = History()
        self._sites, self._faulty, self._accuracy, self._least = sites, faulty, accuracy, least
        self._seen = seen
        self._tried: set[Settings] = set()
        self._best: Candidate | None = None
        self.settings: Settings = tuple(site.setting for site in sites)

    def try_all(self, setting: Setting) -> bool:
        """Give every site this setting; whether that was the best so far."""
        return self._try((setting,) * len(self._sites), None, setting)

    def try_one(self, place: int, setting: Setting) -> bool:
        """Give one site this setting, and leave the best so far at the others."""
        settings = tuple(setting if at == place else kept for at, kept in enumerate(self.settings))
        return self._try(settings, self._sites[place].name, setting)

    def finish(self) -> None:
        """Put the best settings into the model."""
        self._put(self.settings)

    def _try(self, settings: Settings, site: str | None, changed: Setting) -> bool:
        if settings in self._tried:
            return False
        self._tried.add(settings)
        self._put(settings)
        clean = self._accuracy.correct()
        if self._best is None:
            self._least = min(self._least, clean)
        candidate = Candidate(1.0, lambda _: self._put(settings), self._faulty)
        if clean >= self._least:
            candidate.measure(self._loses)
        wins = clean >= self._least and not self._loses(candidate)
        if wins:
            self._best, self.settings = candidate, settings
        self.history.append(
            {
                "site": site,
                "percentile": changed.percentile,
                "scale": changed.scale,
                "fill": "mean" if changed.mean else "zero",
                "clean": clean / self._accuracy.samples,
                "under_faults": candidate.least if candidate.is_known else None,
                "draws": candidate.measured,
                "accepted": wins,
            }
        )
        self._seen()
        return wins

    def _loses(self, one: Candidate) -> bool:
        """Whether it is certain that ``one`` is not better than the best so far."""
        return self._best is not None and not better(one, self._best)

    def _put(self, settings: Settings) -> None:
        for site, setting in zip(self._sites, settings, strict=True):
            site.set(setting)
