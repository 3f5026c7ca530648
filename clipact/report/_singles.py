"""Trials with one fault each: which bit of which tensor was hit, and whether it mattered."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from clipact.errors import CampaignError
from clipact.faults import Result
from clipact.report._columns import Integers, Numbers
from clipact.report._rates import Singles
from clipact.report._rising import rising
from clipact.report._trials import check_metric, differs
from clipact.report._weights import trial_weights

_NUMBER = re.compile(r"(\D*)(\d*)")


def single_faults(result: Result, metric: str, tolerance: float = 0.0) -> Singles:
    """The trials that had exactly one fault and did not fail.

    Args:
        result: Of a campaign.
        metric: What to look at.
        tolerance: How far from its golden value the metric may be without counting as hit.

    Raises:
        CampaignError: There is no such metric, or no such trial.
    """
    check_metric(result, metric)
    columns, golden = result.columns, result.golden[metric]
    kept, failed = columns.kept, columns.failed
    alone = np.bincount(kept.row, minlength=len(result)) == 1
    alone &= (columns.flips == 1) & ~failed
    place = np.flatnonzero(alone[kept.row])
    if not place.size:
        raise CampaignError(_nothing(result))
    names, tensor = _in_order(kept.texts, kept.tensor[place], result.tensors)
    row, bit = kept.row[place], kept.bit[place]
    before, after, values = kept.before[place], kept.after[place], result.values(metric)[row]
    return Singles(
        names=names,
        tensor=tensor,
        bit=bit,
        before=before,
        after=after,
        rising=rising(tensor, bit, (before, after), result.format),
        hit=differs(values, golden, tolerance),
        values=values,
        of=len(result),
        weight=_weights(result, columns.trial[row], 64 * tensor + bit),
    )


def _weights(result: Result, trials: Integers, cells: Integers) -> Numbers | None:
    """The trials' weights where an estimator gives them; of several fault models together there are none."""
    estimator = result.estimators.get(result.faults[0]) if len(result.faults) == 1 else None
    return None if estimator is None else trial_weights(estimator, trials, cells)


def _in_order(
    texts: npt.NDArray[np.object_], codes: Integers, tensors: Sequence[str]
) -> tuple[tuple[str, ...], Integers]:
    """Names in the model's order, where that is known, else in natural order, and places among them."""
    used = np.unique(codes)
    known = {name: place for place, name in enumerate(tensors)}
    names = sorted(
        (str(texts[code]) for code in used.tolist()),
        key=lambda name: (known.get(name, len(known)), _natural(name)),
    )
    places = {name: place for place, name in enumerate(names)}
    to_place = np.zeros(texts.size, dtype=np.int64)
    to_place[used] = [places[str(texts[code])] for code in used.tolist()]
    return tuple(names), to_place[codes]


def _natural(name: str) -> list[tuple[str, int]]:
    """The parts of a name, with numbers in their own order."""
    parts = _NUMBER.findall(name)
    return [(text, int(number or -1)) for text, number in parts]


def _nothing(result: Result) -> str:
    flips = float(result.columns.flips.mean()) if len(result) else 0.0
    return (
        f"maps need single-fault trials, and none of the {len(result):,} trials here kept one single fault (they have"
        f" {flips:,.{0 if flips >= 10 else 1}f} bits hit on average); run a campaign of BitFlip(count=1)"
    )
