"""The tightest percentiles that clean accuracy allows."""

from dataclasses import dataclass
from typing import final

from torch import nn

from clipact.calibration import Batches, Granularity, SiteProfile
from clipact.errors import ThresholdError
from clipact.methods._base import Method, Scope
from clipact.methods._bounds import Bounds
from clipact.methods._checked import check_fields
from clipact.methods._search._accuracy import held_out
from clipact.methods._search._apart import apart
from clipact.methods._search._budget import check_budget, samples_to_lose
from clipact.methods._search._installed import install_sites
from clipact.methods._search._tails import tailed_sites
from clipact.methods._search._tightening import Tightening
from clipact.methods._zeroed import saturated, zeroed
from clipact.surgery import Receipt, Site


@final
@dataclass(frozen=True)
class BudgetedPercentile(Method):
    """Thresholds at the smallest percentile that costs no more clean accuracy than a budget.

    The smaller a threshold, the more faulty values are past it, and the more healthy ones. With thresholds a channel, the
    guard of the output and no training it is the cheapest of the strong protections here (see the guide's comparison). One percentile for all sites
    is found by bisection, between the maximum and 90 %, on the held-out data; with ``by_site`` each site, last to
    first, is then tightened further as far as the budget lasts. No faults are injected: about 6 evaluations of
    ``validate``, and 6 more a site.

    ``receipt.history`` has a row an evaluation: ``site`` (None for all), ``percentile``, ``accuracy``, ``drop``,
    and whether it was ``accepted``.

    Attributes:
        budget: Accuracy that may be lost on ``validate``: 0.005 is half a point.
        granularity: ``"layer"`` or ``"channel"``.
        by_site: Find each site's own percentile.
        zero: Drop to 0 past the threshold; False saturates.
        output_guard: Also map a logit outside its profiled range to its class minimum.
        guard_margin: Factor on that range.

    Raises:
        ThresholdError: A budget that is no share, or thresholds by neuron, of which profiles keep no percentiles.
        CalibrationError: From ``protect``: no held-out data, data that is all in ``train``, data without labels, a budget
            smaller than one held-out sample, or one that the maxima exceed already.

    Note:
        Bisection takes for granted that tighter thresholds cost more accuracy. Where they do not, a still smaller percentile
        might be within the budget; the one that is taken always is.

    Examples:
        >>> import torch, clipact as ca
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> train, images = torch.randn(400, 4).chunk(2)
        >>> validate = [(images, model(images).argmax(1))]
        >>> method = BudgetedPercentile(budget=0.05)
        >>> receipt = ca.protect(model, method, train, validate, progress=False)
        >>> receipt.history[0]["percentile"], receipt.history[0]["accepted"]
        (100.0, True)
    """

    budget: float = 0.005
    granularity: Granularity | str = Granularity.CHANNEL
    by_site: bool = False
    zero: bool = True
    output_guard: bool = True
    guard_margin: float = 1.25

    def __post_init__(self) -> None:
        check_fields(self)
        check_budget(self.budget)
        if Granularity(self.granularity) is Granularity.NEURON:
            raise ThresholdError(
                "percentiles by neuron asked for; profiles keep percentiles by layer and channel, and maxima by neuron"
            )
        Bounds(Granularity.NEURON, 100.0, self.guard_margin)

    def apply(
        self, model: nn.Module, train: Batches, validate: Batches | None, scope: Scope
    ) -> Receipt:
        """Profile, replace, and search; after an exception or Ctrl-C the model is the one of before."""
        accuracy = held_out(model, train, validate, "BudgetedPercentile()")
        allowed, before = samples_to_lose(self.budget, accuracy), accuracy.correct()
        granularity = Granularity(self.granularity)
        guard = Bounds(Granularity.NEURON, 100.0, self.guard_margin) if self.output_guard else None
        recipe = zeroed if self.zero else saturated
        extremes = Bounds(granularity, 100.0, 1.0)

        def make(site: Site, profile: SiteProfile) -> nn.Module:
            return recipe(site, *extremes.of(profile))

        receipt, profile = install_sites(
            model, apart(train, accuracy), scope, make, sketches=granularity, guard=guard
        )
        try:
            sites = tailed_sites(receipt, profile, granularity)
            tightening = Tightening(accuracy, before, allowed)
            tightening.together(sites)
            if self.by_site:
                tightening.one_by_one(sites[::-1])
        except BaseException:
            receipt.restore()
            raise
        receipt.history = tightening.history
        return receipt
