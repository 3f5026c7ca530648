"""Record the golden run of an evaluation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from torch import nn
from torch.nn.modules import module as torch_module

from clipact.faults._memory._tensors import TargetTensor
from clipact.faults._replay._choose import choose
from clipact.faults._replay._dirt import Cause
from clipact.faults._replay._keeper import Keeper, Wish
from clipact.faults._replay._observer import Observer
from clipact.faults._replay._recording import Recording
from clipact.faults._replay._standins import Actor, standing_in, visible_modules
from clipact.faults._replay._values import plain_tensors
from clipact.faults._replay._weigh import loads_of, saving

__all__ = ["record"]

_LEAST: Final = 0.03
"""Share of time to be saved below which recording does not pay."""


def record(
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
    if raised := _raised(run, modules, observer):
        return _nothing(f"the golden run cannot be watched: it {raised}")
    if problem := observer.problem or (None if observer.forwards else "no module was called"):
        return _nothing(problem)
    loads = loads_of(observer.forwards, weights, hits)
    if (best := saving(loads, None)) < _LEAST:
        return _nothing(f"only {best:.1%} of a trial could be skipped")
    kept = choose(loads, budget - sum(seen.arguments.nbytes for seen in observer.forwards))
    wishes = list(map(Wish, observer.forwards, (load.structure for load in loads), kept))
    keeper = _keep(wishes, modules, {id(item.tensor): n for n, item in enumerate(tensors)}, run)
    if isinstance(keeper, str):
        return _nothing(f"the golden run does not repeat: {keeper}")
    return Recording(modules, keeper.goldens, loads, saving(loads, kept))


def _nothing(reason: str) -> Recording:
    return Recording({}, [], [], 0.0, reason)


def _unsuitable(model: nn.Module) -> str | None:
    """Why the calls of a model cannot be replaced."""
    everywhere = vars(torch_module)
    if everywhere["_global_forward_hooks"] or everywhere["_global_forward_pre_hooks"]:
        return "torch has hooks on all modules"
    try:
        list(plain_tensors([*model.parameters(), *model.buffers()]))
    except TypeError as error:  # of a tensor whose memory cannot be followed
        return f"it holds {error}"
    for path, module in model.named_modules():
        if isinstance(module, nn.DataParallel) and len(module.device_ids) > 1:
            return f"{path or 'the model'} is copied to several devices"
        if getattr(module, "_compiled_call_impl", None) is not None:
            return f"{path or 'the model'} is compiled in place"
    return None


def _raised(
    run: Callable[[], object], modules: Mapping[str, nn.Module], actor: Actor
) -> str | None:
    """Run with a stand-in, and say what was raised."""
    try:
        with standing_in(modules.items(), actor):
            run()
    except Exception as error:
        return f"raised {error!r}"
    return None


def _keep(
    wishes: Sequence[Wish],
    modules: Mapping[str, nn.Module],
    targets: Mapping[int, int],
    run: Callable[[], object],
) -> Keeper | str:
    """Keep what is wished for; or what differs between one golden run and the next."""
    expected: list[Any] = [wish.seen.checksums for wish in wishes]
    different = ""
    for _ in range(2):  # watching can change how torch computes: then two runs that nobody watches
        keeper = Keeper(wishes, modules, targets)
        raised = _raised(run, modules, keeper)
        keeper.finish()
        if problem := keeper.problem or raised:
            return problem
        if keeper.checksums == expected:
            return keeper
        different = _difference(wishes, expected, keeper.checksums)
        expected = list(keeper.checksums)
    return f"{different} returned other values"


def _difference(wishes: Sequence[Wish], one: Sequence[Any], other: Sequence[Any]) -> str:
    """The first call to return something else."""
    for wish, first, second in zip(wishes, one, other, strict=True):
        calls = zip(wish.structure.calls, first, second, strict=True)
        if different := [call for call, a, b in calls if a != b]:
            return min(different, key=lambda call: call.exit).path or "the model"
    return "nothing"
