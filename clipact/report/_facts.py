"""The numbers that a campaign's page opens with."""

from clipact.faults import Interval, Result
from clipact.report._page import Fact
from clipact.report._style import percent
from clipact.report._trials import Outcome, is_share, trials_of, within
from clipact.report._view import View


def facts(result: Result, view: View) -> list[Fact]:
    """Trials and golden metrics; of a single fault model also what became of them."""
    asked = result.trials_per_fault * len(result.faults)
    done = f"of {asked:,} asked for" if len(result) < asked else f"seed {result.seed}"
    found = [Fact("trials", f"{len(result):,}", done)]
    if len(result.faults) > 1:
        found.append(Fact("fault models", str(len(result.faults))))
        return found + [Fact(f"golden {m}", _short(v)) for m, v in result.golden.items() if v]
    row = result.summary(confidence=view.confidence).rows[0]
    for metric, mean in row.means.items():
        if not row.not_finite[metric]:
            possible = within(mean, is_share(result, metric))
            found.append(_mean(metric, possible, result.golden[metric], row.trials))
    trials = trials_of(result, row.fault)
    masked = trials.share(trials.outcomes()[Outcome.MASKED], view.confidence).estimate
    found.append(
        Fact(
            "masked",
            percent(masked),
            f"of the {'faults' if trials.estimator else 'trials'}, every metric golden",
        )
    )
    if row.failed:
        found.append(Fact("failed", f"{row.failed:,}", "trials whose evaluation raised"))
    return found


def _mean(metric: str, mean: Interval, golden: float, trials: int) -> Fact:
    if mean.low == mean.high:  # nothing was seen to vary: a bootstrap of that knows no width
        note = f"the same in all {trials:,} trials"
    elif golden:
        note = f"{_short(golden)} without faults"
    else:
        note = f"[{_short(mean.low)}, {_short(mean.high)}]"
    return Fact(f"mean {metric}", _short(mean.estimate), note)


def _short(value: float) -> str:
    return percent(value) if 0.0 <= value <= 1.0 else f"{value:.4g}"
