"""Choose places among what was met."""

from collections.abc import Iterable, Sequence

from clipact.errors import FaultError
from clipact.faults._targets import Candidate, FlowingTarget
from clipact.faults._values._flow import Flow, Forward
from clipact.faults._values._place import Place, Source
from clipact.faults._values._sightings import Meeting, Sighting, Sightings


def chosen(parts: Sequence[FlowingTarget], sightings: Sightings) -> Flow:
    """The places that a target's parts choose, each value once, under the first name met.

    Raises:
        SelectionError: A part picks nothing.
        FaultError: A tensor that is picked cannot have faults, or two are called the same.
    """
    axes: dict[Source, int | None] = {}
    for part in parts:
        for source in _picked(part, sightings.found.values()):
            axes.setdefault(source, part.batch_dim)
    first: dict[Source, Sighting] = {}
    for each in sightings.found.values():
        if each.source in axes:
            first.setdefault(each.alias or each.source, each)
    places = {each.source: _place(each, axes[each.source]) for each in first.values()}
    _check_names(list(places.values()))
    names = {source: place.name for source, place in places.items()}
    return Flow(tuple(places.values()), tuple(_forwards(sightings, names)))


def _picked(part: FlowingTarget, found: Iterable[Sighting]) -> Iterable[Source]:
    by_candidate: dict[Candidate, list[Source]] = {}
    for each in found:
        source = each.source
        name = f"input{source.path}" if source.is_input else source.site
        candidate = Candidate(name, each.kind, source.is_input)
        by_candidate.setdefault(candidate, []).append(source)
    picked = part.choose(list(by_candidate))
    return (source for candidate in picked for source in by_candidate[candidate])


def _place(sighting: Sighting, axis: int | None) -> Place:
    name = str(sighting.source)
    if sighting.problem:
        raise FaultError(f"{name} {sighting.problem}; leave it out with where=")
    if len(sighting.dtypes) > 1:
        found = " and ".join(sorted(map(str, sighting.dtypes)))
        raise FaultError(f"{name} is {found} in different forwards; leave it out with where=")
    sampled = axis is not None and all(_is_sampled(met, axis) for met in sighting.meetings)
    axis = axis if sampled else None
    shape = _largest(name, [_sample_shape(met, axis) for met in sighting.meetings])
    stacked = axis is not None and shape[axis] > 1
    if axis is not None and not stacked:
        shape = shape[:axis] + shape[axis + 1 :]
    (dtype,) = sighting.dtypes
    return Place(name, sighting.kind, shape, dtype, sighting.source, axis, stacked)


def _is_sampled(met: Meeting, axis: int) -> bool:
    shape, batch, packed = met
    samples = batch.samples(axis)
    return not packed and bool(samples) and axis < len(shape) and shape[axis] % samples == 0


def _sample_shape(met: Meeting, axis: int | None) -> tuple[int, ...]:
    shape, batch, _ = met
    if axis is None or not (samples := batch.samples(axis)):
        return shape
    return (*shape[:axis], shape[axis] // samples, *shape[axis + 1 :])


def _largest(name: str, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    if len({len(shape) for shape in shapes}) > 1:
        shown = " and ".join(map(str, sorted(set(shapes))[:2]))
        raise FaultError(
            f"{name} has the shapes {shown} in different forwards, which have no bits in common; leave it out with where="
        )
    return tuple(map(max, *shapes)) if len(shapes) > 1 else shapes[0]


def _check_names(places: Sequence[Place]) -> None:
    seen: dict[str, Place] = {}
    for place in places:
        if place.name in seen:
            raise FaultError(
                f"two of the target's tensors are called {place.name}; leave one of them out with where="
            )
        seen[place.name] = place


def _forwards(sightings: Sightings, names: dict[Source, str]) -> Iterable[Forward]:
    shared: dict[frozenset[str], frozenset[str]] = {}
    for batch, met in sightings.forwards:
        found = frozenset(names[source] for source in met if source in names)
        yield Forward(batch, shared.setdefault(found, found))
