"""FT-ClipAct: thresholds found by fault injection, layer by layer."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

from torch import nn

from clipact._progress import Progress
from clipact.calibration import Batches, Granularity
from clipact.faults import Biases, FixedPoint, Format, Target, Weights
from clipact.methods._base import Method, Scope
from clipact.methods._bounds import Bounds, install
from clipact.methods._checked import check_fields
from clipact.methods._history import History
from clipact.methods._search._accuracy import check_samples, held_out
from clipact.methods._search._apart import apart
from clipact.methods._search._auc import Candidate
from clipact.methods._search._interval import Round, Rounds, best_of, rows, search
from clipact.methods._search._scaled import ScaledSite, scaled_sites
from clipact.methods._search._trials import FaultPlan, FaultyAccuracy
from clipact.methods._zeroed import zeroed
from clipact.surgery import Receipt


@final
@dataclass(frozen=True)
class FTClipAct(Method):
    """Zero past a threshold found by fault injection: for each layer, first to last, the one most accurate under faults.

    Every threshold starts at the profiled maximum. A layer's interval from 0 to it is then narrowed, in ``rounds``, to the
    neighbours of the best of ``points`` equally spaced candidates, measured by the area under accuracy over the fault
    ``rates`` on ``validate``. Fault draws are the same for all candidates. Hard zeroing: NaN becomes 0.

    What is saved is exact: the candidate that wins each interval is the one that would have won had all been measured in
    full. A candidate is dropped once it could not win if all its other draws gave an accuracy of 1; one whose model was
    measured before, and draws without any fault, are not measured again. Dropped ones are measured on where the end of
    the search hangs on them.

    ``receipt.history`` has one row a candidate: site, round, threshold, ``auc`` (its area, or None where it was dropped),
    ``draws`` measured, whether it was the ``best`` of its interval, and ``chosen``.

    Attributes:
        rates: Bit error rates, each of equal weight.
        trials: Draws at each rate.
        points: Candidates an interval, both ends included.
        rounds: Intervals a layer at most (the paper's N).
        least_rounds: After so many (the paper's M) the search ends early,
        delta: if the areas of no two neighbours differ by more than this.
        target: Where faults fall.
        format: In which bits; the default is the Q15.16 of the comparisons in the literature, ``faults.Native()`` takes
            them as they are in memory.
        seed: Which series of draws; another than that of the campaign that judges the outcome, which should not see the same.
        granularity: ``"layer"`` as in the paper; finer thresholds are the same share of each of their maxima.
        samples: Held-out samples, the first of ``validate``, on which a draw is measured; None for all.

    Raises:
        FaultError: No rate, one outside (0, 1], no trial, or a seed below 0; from ``protect``, a target or format that
            does not fit the model.
        ThresholdError: Numbers of points or rounds that give no search.
        CalibrationError: From ``protect``: no held-out data, data that is all in ``train``, or data without labels.

    Note:
        Where the paper leaves things open: faults fall on the whole target, not on one layer; an area is the mean over the
        draws; the threshold of a layer is the best of all its intervals, since the best of one is not among the
        points of the next; of equal areas the larger threshold wins, as it changes clean accuracy less. Where an
        activation goes below zero, its lower bound is scaled with the upper one. Clean accuracy is no part of the
        objective, and nothing bounds its loss.

        Draws are those of a :class:`clipact.faults.Campaign` of the same seed. Campaigns have seed 0 by default, this method
        another, since thresholds tuned on the draws that they are judged by look better than they are.

    References:
        Hoang, Hanif, Shafique, *FT-ClipAct: Resilience Analysis of Deep Neural Networks and Improving their Fault
        Tolerance using Clipped Activation*, DATE 2020.
    """

    rates: tuple[float, ...] = (1e-7, 1e-6, 3e-6, 1e-5, 3e-5)
    trials: int = 5
    points: int = 4
    rounds: int = 4
    least_rounds: int = 3
    delta: float = 0.2
    target: Target = Weights() | Biases()
    format: Format = FixedPoint(bits=32, fraction=16)  # noqa: RUF009 - immutable
    seed: int = 1000
    granularity: Granularity | str = Granularity.LAYER
    samples: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        self._plan()
        self._rounds()
        self._bounds()
        check_samples(self.samples)

    def apply(
        self, model: nn.Module, train: Batches, validate: Batches | None, scope: Scope
    ) -> Receipt:
        """Profile, replace, and search; after an exception or Ctrl-C the model is the one of before."""
        whole = held_out(model, train, validate, "FTClipAct()")
        accuracy = whole.on_first(self.samples)
        receipt = install(model, apart(train, whole), scope, self._bounds(), zeroed, guard=None)
        try:
            sites = scaled_sites(receipt)
            with Progress("FT-ClipAct", self._budget * len(sites), scope.progress) as progress:
                faulty = FaultyAccuracy(model, accuracy, self._plan(), progress.advance)
                receipt.history = History(self._search(sites, faulty, progress))
        except BaseException:
            receipt.restore()
            raise
        return receipt

    def _search(
        self, sites: list[ScaledSite], faulty: FaultyAccuracy, progress: Progress
    ) -> Iterator[dict[str, Any]]:
        """Set the threshold of every site, first to last, and tell how."""
        last: Candidate | None = None
        for number, site in enumerate(sites, 1):
            start = Candidate(1.0, site.set, faulty) if last is None else last.elsewhere(site.set)
            rounds = [] if site.is_constant else list(self._rounds_of(site, start, faulty))
            last = best_of(rounds) if rounds else start
            site.set(last.scale)
            yield from (row for found in rounds for row in rows(site, found, last))
            progress.advance(max(number * self._budget - progress.done, 0))

    def _rounds_of(
        self, site: ScaledSite, start: Candidate, faulty: FaultyAccuracy
    ) -> Iterator[Round]:
        return search(self._rounds(), lambda scale: Candidate(scale, site.set, faulty), start)

    @property
    def _budget(self) -> int:
        """Draws a layer at most."""
        new = self.points + (self.rounds - 1) * (self.points - 2)
        return new * len(self.rates) * self.trials

    def _plan(self) -> FaultPlan:
        rates = tuple(float(rate) for rate in self.rates)
        return FaultPlan(rates, int(self.trials), int(self.seed), self.target, self.format)

    def _rounds(self) -> Rounds:
        return Rounds(int(self.points), int(self.rounds), int(self.least_rounds), self.delta)

    def _bounds(self) -> Bounds:
        return Bounds(self.granularity, 100.0, 1.0)
