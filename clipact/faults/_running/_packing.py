"""Trials of one sample each, many of them in one forward where their faults are in values that flow."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, final

from clipact.errors import CampaignError
from clipact.faults._evaluations._batched import BatchedGolden
from clipact.faults._hits import Hits
from clipact.faults._memory._state import Buffers
from clipact.faults._models import FaultModel
from clipact.faults._results._trial import Trial, traced
from clipact.faults._running._samples import Samples
from clipact.faults._running._spec import Task
from clipact.faults._sampling import Sampler
from clipact.faults._streams import Draw
from clipact.faults._surface import Shot, Surface
from clipact.faults._tally import Tally
from clipact.faults._values import Landing, Place, flowing


class _Seated(NamedTuple):
    """A trial with its faults and the row of its sample."""

    number: int
    row: int
    shot: Shot
    tally: Tally


@final
class Packing:
    """Runs trials of one sample each.

    A forward always has the whole batch in which the sample is, also for a single trial: so a trial's outcome does not
    depend, to the last bit, on which others it was packed with.

    Args:
        golden: The golden run.
        surface: Where faults may fall.
        samplers: Of each fault model.
        seed: Of the campaign.
        buffers: Put back after each forward.
        stop_on_error: Raise where the evaluation raises, instead of recording it.
    """

    def __init__(
        self,
        golden: BatchedGolden,
        surface: Surface,
        samplers: Sequence[Sampler],
        seed: int,
        buffers: Buffers,
        *,
        stop_on_error: bool,
    ) -> None:
        self._golden, self._surface, self._samplers = golden, surface, samplers
        self._seed, self._buffers, self._stop_on_error = seed, buffers, stop_on_error
        self.samples = Samples(golden.sizes, seed)

    def run(self, fault: FaultModel, task: Task) -> tuple[Trial, ...]:
        """The trials of a task, in its order."""
        packs: dict[tuple[int, int], list[_Seated]] = {}
        alone: list[tuple[int, _Seated]] = []
        for number in task.trials:
            batch, row = self.samples.seat(number)
            hits = self._samplers[task.fault].hits(number)
            shot = Shot(fault, Draw(self._seed, number), hits)
            tally = Tally(fault, self._surface.spaces)
            tally.drawn(hits)
            seated = _Seated(number, row, shot, tally)
            if self._is_packable(shot):
                packs.setdefault((number // self.samples.count, batch), []).append(seated)
            else:
                alone.append((batch, seated))
        found: dict[int, Trial] = {}
        for (_, batch), pack in packs.items():
            found |= {trial.trial: trial for trial in self._packed(fault, batch, pack)}
        for batch, seated in alone:
            found[seated.number] = self._alone(fault, batch, seated)
        return tuple(found[number] for number in task.trials)

    def _is_packable(self, shot: Shot) -> bool:
        """Whether each sample has its own part of every tensor that is hit."""
        surface = self._surface
        if surface.tensors_hit(shot.hits):
            return False
        return all(surface.place(at).is_sampled for at in surface.places_hit(shot.hits))

    def _packed(self, fault: FaultModel, batch: int, pack: Sequence[_Seated]) -> Iterator[Trial]:
        start = time.perf_counter()
        by_place: dict[str, dict[int, list[Hits]]] = {}
        places: dict[str, Place] = {}
        for _, row, shot, _ in pack:
            for at in self._surface.places_hit(shot.hits):
                place = self._surface.place(at)
                places[place.name] = place
                by_place.setdefault(place.name, {})[row] = [part[at] for part in shot.hits]
        tallies = {seated.row: seated.tally for seated in pack}

        def landed(landing: Landing) -> None:
            record = landing.record(fault)
            for position, each in zip(record.tensor.tolist(), record, strict=True):
                tallies[landing.samples[position]].keep([each])

        strike = flowing(
            self._surface.model,
            places.values(),
            lambda _forward, place, _rows: by_place[place.name],
            fault,
            format=self._surface.format,
            on_landing=landed,
        )
        try:
            with self._buffers.kept(), strike:
                judged = self._golden.judge(self._surface.model, batch)
        except CampaignError:
            raise
        except Exception:
            yield from (self._alone(fault, batch, seated) for seated in pack)
            return
        seconds = (time.perf_counter() - start) / len(pack)
        for seated in pack:
            yield _trial(fault, seated, judged, seconds)

    def _alone(self, fault: FaultModel, batch: int, seated: _Seated) -> Trial:
        start = time.perf_counter()
        tally = Tally(fault, self._surface.spaces)
        judged: Mapping[str, Sequence[float]] = {}
        error = None
        try:
            with self._buffers.kept(), self._surface.struck(seated.shot, tally, row=seated.row):
                judged = self._golden.judge(self._surface.model, batch)
        except CampaignError:
            raise
        except Exception as raised:
            if self._stop_on_error:
                raise CampaignError(
                    f"the evaluation failed in trial {seated.number} of {fault}, seed {self._seed}: {raised!r}; the model is"
                    " restored"
                ) from raised
            error = traced()
        seconds = time.perf_counter() - start
        return _trial(fault, seated._replace(tally=tally), judged, seconds, error)


def _trial(
    fault: FaultModel,
    seated: _Seated,
    judged: Mapping[str, Sequence[float]],
    seconds: float,
    error: str | None = None,
) -> Trial:
    metrics = {name: values[seated.row] for name, values in judged.items()}
    tally = seated.tally
    return Trial(
        seated.number, fault, metrics, seconds, tally.flips, tally.digest, error, tally.faults
    )
