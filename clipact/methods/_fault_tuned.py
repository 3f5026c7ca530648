"""Ranges tuned on accuracy under faults."""

import math
from dataclasses import dataclass
from typing import Final, final

from torch import nn

from clipact._progress import Progress
from clipact.calibration import Batches, Granularity, SiteProfile
from clipact.errors import ThresholdError
from clipact.faults import Biases, FixedPoint, Format, Target, Weights
from clipact.methods._base import Method, Scope
from clipact.methods._bounds import Bounds
from clipact.methods._checked import check_fields
from clipact.methods._clip_to_mean import mended
from clipact.methods._search._accuracy import Accuracy, check_samples, held_out
from clipact.methods._search._apart import apart
from clipact.methods._search._budget import check_budget, samples_to_lose
from clipact.methods._search._climb import Climb
from clipact.methods._search._installed import Installed, install_sites
from clipact.methods._search._severity import harmful_rate
from clipact.methods._search._trials import FaultPlan, FaultyAccuracy
from clipact.methods._search._tuned_site import Setting, TunedSite
from clipact.nn import Mended
from clipact.surgery import Receipt, Site

_SCALES: Final = (1.0, 0.85, 0.7, 0.6, 0.5, 0.4)
_PERCENTILES: Final = (99.99, 99.95, 99.9, 99.8, 99.5, 99.0)
_MOVE: Final = 0.85


@final
@dataclass(frozen=True)
class FaultTuned(Method):
    """Ranges whose width and fill are those most accurate under sampled faults, within a budget of clean accuracy.

    A trained method usually has small thresholds as its objective, and hopes for resilience. Here the objective is
    the accuracy on ``validate`` under faults drawn from the given target and number format, the same draws for every
    setting. A setting is, for each site, a percentile of the profiled activations of every channel, a factor on it, and whether values
    outside fall to 0 or to the healthy mean. First one setting for all sites is sought, then each site's own, last to
    first: narrower, wider, the other fill, or no range at all. A setting that loses more clean accuracy than the budget is not tried under
    faults; one that can no longer win is not measured to the end. The output is guarded.

    ``receipt.history`` has a row a setting: ``site`` (None for all), ``percentile``, ``scale``, ``fill``, ``clean`` accuracy, accuracy
    ``under_faults`` (None where it was not measured to the end), ``draws``, and whether it was ``accepted``.

    Attributes:
        budget: Clean accuracy that may be lost on ``validate``, all in all: 0.005 is half a point.
        rates: Bit error rates to tune for, each of equal weight. None finds the rate at which the untuned protection
            loses ``lost``.
        lost: Of accuracy.
        trials: Draws at each rate.
        samples: Held-out samples, the first of ``validate``, on which a draw is measured; None for all.
        passes: How often each site's setting is sought.
        target: Where faults fall.
        format: In which bits; ``faults.Native()`` takes them as they are in memory.
        seed: Which series of draws; another than that of the campaign that judges the outcome, which should not see the same.
        granularity: One range and fill a ``"layer"``, ``"channel"`` or ``"neuron"``.
        output_guard: Also map a logit outside its profiled range to its class minimum.
        guard_margin: Factor on that range.

    Raises:
        FaultError: Rates, trials or a seed that mean nothing; from ``protect``, a target or format that does not fit the
            model, or faults that do no harm.
        ThresholdError: A budget or a loss that is no share.
        CalibrationError: From ``protect``: no held-out data, data that is all in ``train``, data without labels, or a budget
            smaller than one held-out sample.

    Note:
        If the profiled extremes lose more than the budget on ``validate`` already, what they lose is the budget.

        Draws are those of a :class:`clipact.faults.Campaign` of the same seed. Campaigns have seed 0 by default, this method
        another, since thresholds tuned on the draws that they are judged by look better than they are.
    """

    budget: float = 0.005
    rates: tuple[float, ...] | None = None
    lost: float = 0.2
    trials: int = 16
    samples: int | None = 500
    passes: int = 1
    target: Target = Weights() | Biases()
    format: Format = FixedPoint(bits=32, fraction=16)  # noqa: RUF009 - immutable
    seed: int = 1000
    granularity: Granularity | str = Granularity.CHANNEL
    output_guard: bool = True
    guard_margin: float = 1.25

    def __post_init__(self) -> None:
        check_fields(self)
        self._plan((1.0,) if self.rates is None else self.rates)
        check_budget(self.budget)
        if not 0.0 < self.lost < 1.0:
            raise ThresholdError(
                f"lost={self.lost} asked for; it is a share of the held-out samples, and 0.2 is 20 points of accuracy"
            )
        if self.passes < 0:
            raise ThresholdError(f"passes={self.passes} asked for; give a number from 0")
        check_samples(self.samples)
        Bounds(self.granularity, 100.0, 1.0)
        self._guard()

    def apply(
        self, model: nn.Module, train: Batches, validate: Batches | None, scope: Scope
    ) -> Receipt:
        """Profile, replace, and search; after an exception or Ctrl-C the model is the one of before."""
        accuracy = held_out(model, train, validate, "FaultTuned()")
        least = accuracy.correct() - samples_to_lose(self.budget, accuracy)
        installed = install_sites(
            model,
            apart(train, accuracy),
            scope,
            self._make,
            sketches=self._sketches,
            guard=self._guard() if self.output_guard else None,
        )
        try:
            self._tune(model, installed, accuracy, least, show=scope.progress)
        except BaseException:
            installed.receipt.restore()
            raise
        return installed.receipt

    def _tune(
        self, model: nn.Module, installed: Installed, accuracy: Accuracy, least: int, *, show: bool
    ) -> None:
        sites = self._sites(installed)
        part = accuracy.on_first(self.samples)
        rates = self.rates
        if rates is None:
            rates = (harmful_rate(model, part, self._plan((1.0,)), self.lost),)
        most = 2 * len(_SCALES + _PERCENTILES) + self.passes * len(sites) * 4
        with Progress("fault-tuned", most, show) as progress:
            faulty = FaultyAccuracy(model, part, self._plan(rates), lambda: None)
            climb = Climb(sites, faulty, accuracy, least, progress.advance)
            self._together(climb)
            for _ in range(self.passes):
                self._one_by_one(climb, len(sites))
            climb.finish()
        installed.receipt.history = climb.history

    def _together(self, climb: Climb) -> None:
        """The best factor and the best percentile, each as narrow as it goes on getting better, with both fills."""
        series = [[Setting(scale, mean=False) for scale in _SCALES]]
        if self._sketches is not None:
            series.append([Setting(1.0, mean=False, percentile=p) for p in _PERCENTILES])
        for mean in (False, True):
            for settings in series:
                before = False
                for setting in settings:
                    better = climb.try_all(setting._replace(mean=mean))
                    if before and not better:
                        break
                    before = better or before

    def _one_by_one(self, climb: Climb, sites: int) -> None:
        for place in reversed(range(sites)):
            now = climb.settings[place]
            climb.try_one(place, now._replace(mean=not now.mean))
            now = climb.settings[place]
            if not climb.try_one(place, now._replace(scale=now.scale * _MOVE)):
                climb.try_one(place, now._replace(scale=now.scale / _MOVE))
            climb.try_one(place, climb.settings[place]._replace(scale=math.inf))

    @property
    def _sketches(self) -> Granularity | None:
        """Profiles keep percentiles by layer and channel."""
        granularity = Granularity(self.granularity)
        return None if granularity is Granularity.NEURON else granularity

    def _sites(self, installed: Installed) -> list[TunedSite]:
        granularity = Granularity(self.granularity)
        return [
            TunedSite(site.name, module, installed.profile[site.name], granularity)
            for site, module in installed.receipt.changes
            if isinstance(module, Mended)
        ]

    def _make(self, site: Site, profile: SiteProfile) -> nn.Module:
        return mended(site, profile, Bounds(self.granularity, 100.0, 1.0))

    def _plan(self, rates: tuple[float, ...]) -> FaultPlan:
        drawn = tuple(float(rate) for rate in rates)
        return FaultPlan(drawn, int(self.trials), int(self.seed), self.target, self.format)

    def _guard(self) -> Bounds:
        return Bounds(Granularity.NEURON, 100.0, self.guard_margin)
