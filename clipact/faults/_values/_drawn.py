"""Hits for values that flow, drawn when they come by, as long-lived as faults are."""

from collections.abc import Mapping, Sequence
from typing import final

from clipact.faults._hits import BitSpace, Hits
from clipact.faults._lifetime import Lifetime
from clipact.faults._models import FaultModel, draw_parts
from clipact.faults._streams import Draw
from clipact.faults._values._place import Place


@final
class Drawn:
    """A plan that draws: of one trial, once, in each forward, or for each sample.

    Args:
        fault: What is drawn from.
        places: Of the flow.
        spaces: The bits drawn from: those of tensors in memory, if they are drawn together, then those of the places.
        draw: Seed and trial.
        lifetime: When it is drawn anew.
    """

    def __init__(
        self,
        fault: FaultModel,
        places: Sequence[Place],
        spaces: Sequence[BitSpace],
        draw: Draw,
        lifetime: Lifetime = Lifetime.STATIC,
    ) -> None:
        self._fault, self._spaces, self._draw, self._lifetime = fault, spaces, draw, lifetime
        first = len(spaces) - len(places)
        self._order = {place.name: at for at, place in enumerate(places, first)}
        self._drawn: dict[Draw, list[list[Hits]]] = {}

    def __call__(self, forward: int, place: Place, rows: int) -> Mapping[int, Sequence[Hits]]:
        """Of each sample, the hits of each part of the fault model."""
        at = self._order[place.name]
        if self._lifetime is not Lifetime.SAMPLE:
            hits = [part[at] for part in self._hits(self._key(forward, None))]
            return dict.fromkeys(range(rows), hits)
        return {
            row: [part[at] for part in self._hits(self._key(forward, row))] for row in range(rows)
        }

    def _key(self, forward: int, sample: int | None) -> Draw:
        static = self._lifetime is Lifetime.STATIC
        return Draw(self._draw.seed, self._draw.trial, None if static else forward, sample)

    def _hits(self, draw: Draw) -> list[list[Hits]]:
        """Drawn once; what was drawn for earlier forwards is forgotten."""
        if draw not in self._drawn:
            if any(known.forward != draw.forward for known in self._drawn):
                self._drawn.clear()
            self._drawn[draw] = draw_parts(self._fault, self._spaces, draw)
        return self._drawn[draw]
