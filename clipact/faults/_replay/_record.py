"""Record the golden run of an evaluation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from torch import nn
from torch.nn.modules import module as torch_module

from clipact.faults._replay._choose import Load, choose, cost, first_hits
from clipact.faults._replay._dirt import Cause
from clipact.faults._replay._keeper import Keeper, Wish
from clipact.faults._replay._observer import Observed, Observer
from clipact.faults._replay._plan import make_plan
from clipact.faults._replay._recording import Recording
from clipact.faults._replay._standins import standing_in, visible_modules
from clipact.faults._replay._structure import Structure
from clipact.faults._tensors import TargetTensor

__all__ = ["record"]

_LEAST: Final = 0.03
"""Share of time to be saved below which recording does not pay."""


def record(  # noqa: PLR0913 - all but the first three by keyword
    model: nn.Module,
    run: Callable[[], object],
    tensors: Sequence[TargetTensor],
    *,
    weights: Mapping[Cause, float],
    hits: float = 1.0,
    budget: int = 2**30,
) -> Recording:
    """Run the golden run twice or three times, and keep what trials can begin with.

    Args:
        model: Without faults.
        run: Calls the model, the same way every time, and leaves it as it was.
        tensors: What weight faults may fall on.
        weights: How often each cause occurs, relative to the others: bits of a tensor, words of an output.
        hits: Faults of a trial, on average.
        budget: Bytes for golden values.

    Returns:
        A recording; with a ``reason`` where nothing can be replayed, or nothing would be saved.
    """
    if problem := _unsuitable(model):
        return _nothing(problem)
    modules = visible_modules(model)
    observer = Observer(modules, tensors, budget // 4)
    with standing_in(modules.items(), observer):
        try:
            run()
        except Exception as error:  # noqa: BLE001 - whatever it is, the campaign goes on without replay
            return _nothing(f"the golden run cannot be watched: {error!r}")
    if problem := observer.problem or (None if observer.forwards else "no module was called"):
        return _nothing(problem)
    structures = _shared(observer.forwards)
    loads = _loads(observer.forwards, structures, weights, hits)
    ideal = _saving(loads, None)
    if ideal < _LEAST:
        return _nothing(f"of a trial only {ideal:.0%} could be skipped")
    left = budget - sum(seen.arguments.nbytes for seen in observer.forwards)
    kept = choose(loads, left)
    wishes = list(map(Wish, observer.forwards, structures, kept))
    keeper = _keep(wishes, modules, run)
    if isinstance(keeper, str):
        return _nothing(keeper)
    return Recording(modules, keeper.goldens, loads, _saving(loads, kept))


def _nothing(reason: str) -> Recording:
    return Recording({}, [], [], 0.0, reason)


def _unsuitable(model: nn.Module) -> str | None:
    """Why the calls of a model cannot be replaced."""
    everywhere: Any = torch_module
    if everywhere._global_forward_hooks or everywhere._global_forward_pre_hooks:
        return "torch has hooks on all modules"
    for path, module in model.named_modules():
        if isinstance(module, nn.DataParallel) and len(module.device_ids) > 1:
            return f"{path or 'the model'} is copied to several devices"
        if getattr(module, "_compiled_call_impl", None) is not None:
            return f"{path or 'the model'} is compiled in place"
    return None


def _shared(forwards: Sequence[Observed]) -> list[Structure]:
    """Of each forward its structure; one object for all that did the same."""
    found: list[Structure] = []
    distinct: list[Structure] = []
    for seen in forwards:
        alike = next((s for s in distinct if s.trace == seen.trace), None)
        if alike is None:
            distinct.append(alike := Structure(seen.trace))
        found.append(alike)
    return found


def _loads(
    forwards: Sequence[Observed],
    structures: Sequence[Structure],
    weights: Mapping[Cause, float],
    hits: float,
) -> list[Load]:
    """Of each forward its load; one object for all of a structure."""
    loads: dict[int, Load] = {}
    for structure in structures:
        if id(structure) not in loads:
            seen = [
                f.seconds for f, s in zip(forwards, structures, strict=True) if s is structure
            ]
            mean = [sum(each) / len(each) for each in zip(*seen, strict=True)]
            own = [
                max(mean[n] - sum(mean[child] for child in call.children), 0.0)
                for n, call in enumerate(structure.calls)
            ]
            loads[id(structure)] = Load(structure, own, first_hits(structure, weights, hits))
    return [loads[id(structure)] for structure in structures]


def _saving(loads: Sequence[Load], kept: Sequence[frozenset[int]] | None) -> float:
    """Share of the time of a trial that golden values are expected to save."""
    total = spent = 0.0
    known: dict[tuple[int, frozenset[int] | None], float] = {}
    for place, load in enumerate(loads):
        key = id(load), kept[place] if kept else None
        if key not in known:
            known[key] = sum(
                weight * cost(load, make_plan(load.structure, cause, key[1]))
                for cause, weight in load.causes.items()
            )
        spent += known[key]
        total += sum(load.seconds)
    return 1.0 - spent / total if total else 0.0


def _keep(
    wishes: Sequence[Wish], modules: Mapping[str, nn.Module], run: Callable[[], object]
) -> Keeper | str:
    """Keep what is wished for; or what differs between one golden run and the next."""
    expected = [wish.seen.checksums for wish in wishes]
    for _ in range(2):  # watching can change how torch computes: then two runs that nobody watches
        keeper = Keeper(wishes, modules)
        with standing_in(modules.items(), keeper):
            run()
        keeper.finish()
        if keeper.problem:
            return f"the golden run does not repeat: {keeper.problem}"
        if keeper.checksums == expected:
            return keeper
        different = _difference(wishes, expected, keeper.checksums)
        expected = keeper.checksums
    return f"the golden run does not repeat: {different} returned other values"


def _difference(wishes: Sequence[Wish], one: Sequence[Any], other: Sequence[Any]) -> str:
    return next(
        wish.structure.calls[number].path or "the model"
        for wish, first, second in zip(wishes, one, other, strict=True)
        for number, (a, b) in enumerate(zip(first, second, strict=True))
        if a != b
    )
