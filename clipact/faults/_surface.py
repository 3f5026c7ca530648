"""All bits of one model on which faults may fall: tensors in memory, and values that flow."""

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, final

import numpy as np
from torch import nn

from clipact.faults._formats import Format
from clipact.faults._hits import NO_HITS, BitSpace, Hits, hit_words
from clipact.faults._lifetime import Lifetime
from clipact.faults._memory._bound import Bound
from clipact.faults._memory._injected import injected
from clipact.faults._memory._patch import Change
from clipact.faults._models import FaultModel, draw_parts
from clipact.faults._records._record import FaultRecord
from clipact.faults._records._tabulate import rows
from clipact.faults._streams import Draw
from clipact.faults._tally import Tally
from clipact.faults._values import Drawn, Flow, Landing, Place, flowing


class Shot(NamedTuple):
    """The faults of one trial, drawn once: of each part of the fault model, the hits of each space."""

    fault: FaultModel
    draw: Draw
    hits: Sequence[Sequence[Hits]]


@final
class Surface:
    """Bits of tensors in memory, then of places in the flow.

    Attributes:
        model: The model.
        bound: The tensors, in the number format.
        flow: The places.
        format: The number format.
        spaces: The bits of all of them.
    """

    def __init__(self, model: nn.Module, bound: Bound, flow: Flow, format: Format) -> None:  # noqa: A002 - the public word
        self.model, self.bound, self.flow, self.format = model, bound, flow, format
        self.spaces: tuple[BitSpace, ...] = (*bound.spaces, *flow.spaces(format))

    @property
    def bits(self) -> int:
        """Number of bits."""
        return sum(space.bits for space in self.spaces)

    def tensors_hit(self, hits: Sequence[Sequence[Hits]]) -> list[int]:
        """Places of the tensors in memory that are hit."""
        return _hit(hits, range(len(self.bound.tensors)))

    def places_hit(self, hits: Sequence[Sequence[Hits]]) -> list[int]:
        """Places, among all spaces, of the values that are hit."""
        return _hit(hits, range(len(self.bound.tensors), len(self.spaces)))

    def place(self, space: int) -> Place:
        """The place in the flow of a space."""
        return self.flow.places[space - len(self.bound.tensors)]

    @contextmanager
    def struck(
        self, shot: Shot, tally: Tally | None = None, row: int | None = None
    ) -> Generator[list[Change]]:
        """The model with the faults of a shot: the same in every forward and sample.

        Args:
            shot: The faults.
            tally: Told of them.
            row: Faults in values fall on this sample of each batch only; None for all.

        Yields:
            What changed in memory.
        """
        if tally is not None:
            tally.drawn(shot.hits)
        stored = len(self.bound.tensors)
        places = {self.place(at).name: at for at in self.places_hit(shot.hits)}

        def plan(forward: int, place: Place, rows: int) -> dict[int, list[Hits]]:
            del forward
            hit = range(rows) if row is None or not place.is_sampled else (row,)
            hits = [part[places[place.name]] for part in shot.hits]
            return dict.fromkeys(hit, hits)

        flow = flowing(
            self.model,
            [self.place(at) for at in places.values()],
            plan,
            shot.fault,
            format=self.format,
            on_landing=None if tally is None else tally.seen,
        )
        with injected(self.bound, [part[:stored] for part in shot.hits], shot.fault) as changes:
            if tally is not None:
                tally.changed(changes)
            with flow:
                yield changes

    def unseen(self, shot: Shot) -> list[FaultRecord]:
        """The faults in values, which nobody knows before they come by."""
        records: list[FaultRecord] = []
        for at in self.places_hit(shot.hits):
            parts = [part[at] for part in shot.hits]
            words = hit_words(parts).size
            codes = [np.zeros(words, dtype=np.uint64)] * (len(parts) + 1)
            unknown = np.full(words, np.nan)
            space = [(self.spaces[at].name, self.spaces[at].width)]
            records.append(rows(shot.fault, space, [parts], codes, (unknown, unknown)))
        return records

    @contextmanager
    def struck_anew(
        self, fault: FaultModel, draw: Draw, lifetime: Lifetime, tally: Tally
    ) -> Generator[None]:
        """The model with faults that are drawn anew in each forward, or for each sample."""

        def landed(landing: Landing) -> None:
            tally.landed(landing, once=lifetime is Lifetime.BATCH)
            tally.seen(landing)

        plan = Drawn(fault, self.flow.places, self.spaces, draw, lifetime)
        with ExitStack() as stack:
            if self.bound.tensors:
                stack.enter_context(_redrawn(self, fault, draw, tally))
            stack.enter_context(
                flowing(
                    self.model,
                    self.flow.places,
                    plan,
                    fault,
                    format=self.format,
                    on_landing=landed,
                )
            )
            yield


@contextmanager
def _redrawn(surface: Surface, fault: FaultModel, draw: Draw, tally: Tally) -> Generator[None]:
    """Faults in tensors in memory, put back and drawn anew before each forward of the model."""
    stored = len(surface.bound.tensors)
    held = ExitStack()
    forward = -1

    def before(*_: Any) -> None:
        nonlocal forward
        held.close()
        forward += 1
        hits = draw_parts(fault, surface.spaces, Draw(draw.seed, draw.trial, forward=forward))
        ours = [part[:stored] for part in hits]
        changes = held.enter_context(injected(surface.bound, ours, fault))
        tally.drawn([[*part, *_none(surface, stored)] for part in ours])
        tally.changed(changes)

    handle = surface.model.register_forward_pre_hook(before, prepend=True)
    try:
        yield
    finally:
        handle.remove()
        try:
            held.close()
        except BaseException:
            held.close()
            raise


def _none(surface: Surface, stored: int) -> list[Hits]:
    return [NO_HITS] * (len(surface.spaces) - stored)


def _hit(hits: Sequence[Sequence[Hits]], spaces: range) -> list[int]:
    return [at for at in spaces if any(part[at].index.size for part in hits)]
