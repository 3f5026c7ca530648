"""What a trial must tell of its faults: how many, which, and a hash of them."""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import final

from clipact.faults._hits import BitSpace, Hits, digest
from clipact.faults._memory._patch import Change
from clipact.faults._models import FaultModel, number_of_faults
from clipact.faults._records._record import Fault
from clipact.faults._values import Landing

KEPT = 8  # a trial with more faults keeps none: they can be drawn again


@final
class Tally:
    """Adds up the faults of one trial, of one draw or of several."""

    def __init__(self, fault: FaultModel, spaces: Sequence[BitSpace]) -> None:
        self.flips = 0
        self._fault, self._spaces = fault, spaces
        self._digests: list[str] = []
        self._faults: dict[tuple[str, int, int, str], Fault] = {}

    def drawn(self, hits: Sequence[Sequence[Hits]]) -> None:
        """Count one draw for all spaces."""
        self.flips += number_of_faults(self._fault, hits)
        self._digests.append(digest(self._spaces, hits))

    def landed(self, landing: Landing, *, once: bool) -> None:
        """Count what fell on one value: if all its samples have the same faults, ``once``; else by sample."""
        space = BitSpace(f"{landing.forward}/{landing.place.name}", (), landing.width)
        by_sample = zip(landing.samples, landing.hits, strict=True)
        for sample, parts in islice(by_sample, 1 if once else None):
            hits = [[part] for part in parts]
            self.flips += number_of_faults(self._fault, hits)
            own = space._replace(name=f"{space.name}/{sample}")
            self._digests.append(digest([own], hits))

    def changed(self, changes: Sequence[Change]) -> None:
        """Keep the faults in tensors in memory, while there are few."""
        if self.flips <= KEPT:
            for change in changes:
                self.keep(change.record(self._fault))

    def seen(self, landing: Landing) -> None:
        """Keep the faults in values, while there are few; of several samples, the first's values."""
        if self.flips <= KEPT:
            self.keep(landing.record(self._fault))

    def keep(self, faults: Iterable[Fault]) -> None:
        """Keep some faults, each once."""
        for fault in faults:
            key = (fault.tensor, fault.index, fault.bit, fault.kind)
            self._faults.setdefault(key, fault)

    @property
    def digest(self) -> str:
        """Of all draws in order; of a single one, its own."""
        if len(self._digests) == 1:
            return self._digests[0]
        return hashlib.sha256("/".join(self._digests).encode()).hexdigest()[:16]

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults, if they were few."""
        return tuple(self._faults.values()) if self.flips <= KEPT else ()
