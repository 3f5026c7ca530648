"""The exact shortcut of a session: golden values in the place of what faults do not reach."""

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass
from hashlib import sha256
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from clipact.faults._evaluations._evaluation import Metrics
from clipact.faults._hits import hit_words
from clipact.faults._memory._state import Buffers
from clipact.faults._replay import Cause, Recording, record
from clipact.faults._running._spec import Spec
from clipact.faults._surface import Shot, Surface
from clipact.faults._values import Place

Run = Callable[[], Metrics]

_FEW_ROWS = 8
_UNASKED = 2  # replayed trials that are verified whatever is asked for


@final
class Shortcut:
    """Evaluates a model whose faults are in place: with what is golden replayed, or in full.

    Where an evaluation is run again, in full, the buffers that the first run updated are put back before.

    Args:
        surface: Where faults may fall.
        recording: What to replay; None for nothing.
        buffers: As they are without faults.
        seed: Of the campaign: which trials are verified.
        verify: Share of the trials that are run in full too, besides the first two in which anything is replayed.

    Attributes:
        notes: What the user must be told.
    """

    def __init__(
        self,
        surface: Surface,
        recording: Recording | None,
        buffers: Buffers,
        seed: int,
        verify: float,
    ) -> None:
        self.notes: list[str] = []
        self._surface, self._recording, self._buffers = surface, recording, buffers
        self._held = {id(buffer) for buffer in surface.model.buffers()}
        self._seed, self._verify = seed, verify
        self._unasked = _UNASKED
        self._modules = dict(surface.model.named_modules())

    def evaluate(self, run: Run, shot: Shot) -> tuple[Metrics, bool]:
        """The metrics, and whether any work was saved."""
        cause = self._cause(shot)
        recording = self._recording
        if recording is None or recording.reason is not None or cause is None:
            return run(), False
        buffers = self._before(cause[0])

        def again() -> Metrics:
            buffers.restore()
            return run()

        verified = self._unasked > 0 or self._is_verified(shot)
        with _outputs(self._surface.model, wanted=verified) as given:
            try:
                with recording.replaying(*cause, rows=self._rows(shot, cause[0])) as replay:
                    metrics = run()
            except Exception:
                return again(), False
        if not replay.valid:
            return again(), False
        saved = bool(replay.skipped or replay.narrowed)
        if not verified or not saved:
            return metrics, saved
        self._unasked -= 1
        return self._verified(again, shot, metrics, given)

    def _verified(
        self, run: Run, shot: Shot, metrics: Metrics, given: Sequence[Any]
    ) -> tuple[Metrics, bool]:
        """The metrics of the full run, which must be those of the replayed one, as must every output."""
        with _outputs(self._surface.model, wanted=True) as full_given:
            full = run()
        if _same_bits([given, sorted(metrics.items())], [full_given, sorted(full.items())]):
            return full, True
        self._recording = None
        self.notes.append(
            f"trial {shot.draw.trial} of {shot.fault} gave other outputs with replay than in full, so replay is off from"
            " there on; trials before it were not all verified: run the campaign again with replay=False, and please"
            " report the model"
        )
        return full, False

    def _is_verified(self, shot: Shot) -> bool:
        """A pure function of seed and trial."""
        digest = sha256(f"{self._seed}/{shot.draw.trial}/verify".encode()).digest()
        return int.from_bytes(digest[:8], "little") < self._verify * 2**64

    def _cause(self, shot: Shot) -> tuple[list[int], list[tuple[str, int | None]]] | None:
        """Where the faults are; None where that cannot be said of modules."""
        places = [self._surface.place(at) for at in self._surface.places_hit(shot.hits)]
        if not all(self._is_module(place) for place in places):
            return None
        calls: list[tuple[str, int | None]] = [(place.source.site, 0) for place in places]
        return self._surface.tensors_hit(shot.hits), calls

    def _before(self, tensors: Sequence[int]) -> Buffers:
        """The buffers as they are now, with the faults in them if there are any."""
        hit = {id(self._surface.bound.tensors[at].tensor) for at in tensors}
        return Buffers(self._surface.model) if hit & self._held else self._buffers

    def _rows(self, shot: Shot, tensors: Sequence[int]) -> dict[int, list[int]]:
        """Of tensors with faults in few of their rows, which rows these are."""
        found: dict[int, list[int]] = {}
        for at in tensors:
            shape = self._surface.spaces[at].shape
            words = hit_words([part[at] for part in shot.hits])
            rows = np.unique(words // max(1, math.prod(shape[1:]))).tolist()
            if len(rows) <= _FEW_ROWS:
                found[at] = rows
        return found

    def _is_module(self, place: Place) -> bool:
        """Whether the value is what the first call of one module gives."""
        site, number, _, is_input = place.source
        return site in self._modules and not number and not is_input


def recorded(
    surface: Surface,
    run: Callable[[], object],
    spec: Spec,
    buffers: Buffers,
    *,
    dirty_only: bool,
) -> Recording:
    """Two or three more golden runs, recorded."""

    def fresh() -> None:
        with buffers.kept():
            run()

    weights = {
        Cause(frozenset({place})): float(space.bits)
        for place, space in enumerate(surface.bound.spaces)
    }
    for place, space in zip(
        surface.flow.places, surface.spaces[len(surface.bound.spaces) :], strict=True
    ):
        cause = Cause(calls=frozenset({(place.source.site, None)}))
        weights[cause] = weights.get(cause, 0.0) + space.bits
    hits = min(fault.expected(surface.spaces) for fault in spec.faults)
    recording = record(surface.model, fresh, surface.bound.tensors, weights=weights, hits=hits)
    if dirty_only:
        recording.narrow(fresh)
    return recording


@contextmanager
def _outputs(model: nn.Module, *, wanted: bool) -> Generator[list[Any]]:
    """Copies of what the model gives, in order."""
    given: list[Any] = []
    if not wanted:
        yield given
        return

    def keep(_module: nn.Module, _args: Any, output: Any) -> None:
        given.append(pytree.tree_map_only(Tensor, torch.clone, output))

    handle = model.register_forward_hook(keep)
    try:
        yield given
    finally:
        handle.remove()


def _same_bits(one: Any, two: Any) -> bool:
    leaves, structure = pytree.tree_flatten(one)
    others, other = pytree.tree_flatten(two)
    return structure == other and all(map(_same, leaves, others))


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(two, Tensor):
        if one.dtype != two.dtype or one.shape != two.shape:
            return False
        plain = [value.detach().contiguous().view(-1).view(torch.uint8) for value in (one, two)]
        return torch.equal(*plain)
    if is_dataclass(one) and type(one) is type(two):
        return _same_bits(vars(one), vars(two))
    if not isinstance(one, int | float | str | bytes):
        return type(one) is type(two)  # nobody but its class knows what is in it
    return bool(one == two) or repr(one) == repr(two) == "nan"
