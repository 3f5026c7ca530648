"""The interval search of FT-ClipAct for one threshold, with candidates dropped once they are certain to lose."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, final

from clipact.errors import ThresholdError
from clipact.methods._search._auc import Candidate
from clipact.methods._search._scaled import ScaledSite


@final
@dataclass(frozen=True)
class Rounds:
    """How an interval is narrowed.

    Attributes:
        points: Candidates in an interval, its ends included.
        most: Number of rounds at most.
        least: Number of rounds after which the search may end early.
        delta: It does, when the area of no two neighbours differs by more.

    Raises:
        ThresholdError: A number that gives no search.
    """

    points: int
    most: int
    least: int
    delta: float

    def __post_init__(self) -> None:
        if self.points < 4:
            raise ThresholdError(
                f"points={self.points!r} asked for; an interval narrows with 4 points or more, its ends included"
            )
        if self.most < 1:
            raise ThresholdError(f"rounds={self.most!r} asked for; give a number from 1")
        if not 1 <= self.least <= self.most:
            raise ThresholdError(
                f"least_rounds={self.least!r} asked for; give a number from 1 to rounds={self.most}"
            )
        if not self.delta >= 0.0:
            raise ThresholdError(
                f"delta={self.delta!r} asked for; give a difference of areas from 0"
            )


class Round(NamedTuple):
    """One interval: its candidates from small to large, and the best of them."""

    number: int
    candidates: Sequence[Candidate]
    best: Candidate


def search(settings: Rounds, make: Callable[[float], Candidate], top: Candidate) -> Iterator[Round]:
    """Narrow the interval from 0 to ``top``, round by round.

    Args:
        settings: How.
        make: A candidate that is not measured yet.
        top: The upper end.
    """
    known = {top.scale: top}
    low, high = 0.0, top.scale
    for number in range(1, settings.most + 1):
        candidates = [
            known.setdefault(scale, make(scale)) for scale in _spaced(low, high, settings.points)
        ]
        best = _winner(candidates)
        may_end = settings.least <= number < settings.most
        flat = may_end and _is_flat(candidates, settings.delta)
        yield Round(number, candidates, best)
        if flat:
            return
        at = candidates.index(best)
        low = candidates[max(at - 1, 0)].scale
        high = candidates[min(at + 1, len(candidates) - 1)].scale


def better(one: Candidate, other: Candidate) -> bool:
    """Whether ``one``, at its best, beats ``other``, at its worst; of two equal ones the larger threshold wins."""
    return (one.most, one.scale) > (other.least, other.scale)


def best_of(rounds: Sequence[Round]) -> Candidate:
    """The best of all intervals; each one's best is known in full."""
    best = rounds[0].best
    for found in rounds[1:]:
        best = found.best if better(found.best, best) else best
    return best


def rows(site: ScaledSite, found: Round, chosen: Candidate) -> Iterator[dict[str, Any]]:
    """One row a candidate of an interval, for a receipt's history."""
    for one in found.candidates:
        yield {
            "site": site.name,
            "round": found.number,
            "threshold": site.threshold(one.scale),
            "auc": one.least if one.is_known else None,
            "draws": one.measured,
            "best": one is found.best,
            "chosen": one is chosen,
        }


def _winner(candidates: Sequence[Candidate]) -> Candidate:
    """The best, exactly: others are measured only until they can no longer reach it."""
    first, *others = sorted(candidates, key=lambda one: (not one.is_known, -one.scale))
    first.measure()
    best = first
    for other in others:
        other.measure(_loses_to(best))
        if better(other, best):
            best = other
    return best


def _loses_to(best: Candidate) -> Callable[[Candidate], bool]:
    return lambda one: not better(one, best)


def _is_flat(candidates: Sequence[Candidate], delta: float) -> bool:
    """Whether no two neighbours differ by more than ``delta``; what was dropped is measured on if that is open."""
    pairs = list(pairwise(candidates))
    if any(max(a.least - b.most, b.least - a.most) > delta for a, b in pairs):
        return False
    for one in candidates:
        one.measure()
    return all(abs(a.least - b.least) <= delta for a, b in pairs)


def _spaced(low: float, high: float, points: int) -> list[float]:
    """Equally spaced, the ends exactly."""
    inner = [low + (high - low) * step / (points - 1) for step in range(1, points - 1)]
    return [low, *inner, high]
