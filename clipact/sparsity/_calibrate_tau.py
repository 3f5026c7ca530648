"""Set the thresholds of a trained model so that its activations have a wanted sparsity."""

from collections.abc import Iterator
from typing import Final, cast

from torch import Tensor, nn

from clipact._progress import track
from clipact.calibration import Batches, model_inputs, peek, run, to_device_of
from clipact.errors import SparsityError
from clipact.sparsity._budget import Budget
from clipact.sparsity._granules import Thresholded, thresholded
from clipact.sparsity._inputs_seen import InputsSeen, seeing
from clipact.sparsity._tau_receipt import CalibratedTau, TauReceipt, put
from clipact.surgery import evaluating
from clipact.where import Where

__all__ = ["calibrate_tau"]

_ENOUGH: Final = 0.002  # distance from the wanted sparsity at which no further pass is made
_ALLOWED: Final = 0.005  # distance at which the calibration has failed
_SPARE_PASSES: Final = 3
_NEARER: Final = 0.8  # what a further pass must leave of the distance; where one activation runs at several depths

_Seen = dict[str, InputsSeen]


def calibrate_tau(
    model: nn.Module,
    batches: Batches,
    sparsity: float,
    *,
    budget: Budget | str = Budget.LAYER,
    where: Where | None = None,
    progress: bool = False,
) -> TauReceipt:
    r"""Set every ``tau`` of a model, in place, to a quantile of what its activation is given.

    Thresholds of one layer change what the next is given. So the data is read several times, each time with the thresholds
    of the time before, until the sparsity that is *measured* is the wanted one to 0.002; or until every layer had its
    turn and it comes no nearer, after which 0.005 must be met. The model runs in eval mode without gradients.

    A trained ReLU network gets its thresholds by ``ca.replace_activations(model, lambda site: ca.nn.ShiftedReLU(0.0),
    example=x)``, which changes nothing yet. Much sparsity without further training costs accuracy: train on, with
    :func:`hold_sparsity`.

    Args:
        model: With activations CReLU, CST, ShiftedReLU or SoftThreshold.
        batches: As for :func:`clipact.calibrate`, but something that can be read several times: a list, a loader.
        sparsity: Wanted share of zeros, between 0 and 1.
        budget: ``"layer"`` for this sparsity everywhere, ``"global"`` for the model as a whole: then each ``tau`` is the same
            multiple of the root mean square of its input.
        where: Which activations; all by default.
        progress: Show a bar a pass (where tqdm is installed).

    Returns:
        What was set and what came of it; its ``restore()`` puts the former thresholds back.

    Raises:
        SparsityError: The sparsity is out of range or cannot be reached (it would take a ``tau`` below 0, or many values
            are equal), the data can be read once only, an input is not finite, or two activations share a ``tau``; nothing was
            changed.
        SelectionError: The model has no such activation, or ``where`` picks none.
        CalibrationError: There is no batch.

    Examples:
        >>> import torch, clipact as ca
        >>> model = nn.Sequential(nn.Linear(4, 64), ca.nn.ShiftedReLU(0.0), nn.Linear(64, 64), ca.nn.ShiftedReLU(0.0))
        >>> batches = [torch.randn(100, 4) for _ in range(5)]
        >>> receipt = calibrate_tau(model, batches, 0.8)
        >>> [round(row.sparsity, 2) for row in receipt.rows]
        [0.8, 0.8]
    """
    if not 0.0 < sparsity < 1.0:
        raise SparsityError(f"a sparsity of {sparsity} asked for; it must be between 0 and 1")
    wanted, modules = Budget(budget), thresholded(model, where)
    if isinstance(batches, Iterator):
        raise SparsityError(
            f"the calibration data is a {type(batches).__name__}, which can be read once only; give a list or a loader"
        )
    before = {name: module.tau.detach().clone() for name, module in modules.items()}
    try:
        return _calibrated(model, modules, batches, sparsity, (wanted, progress))
    except BaseException:
        put(modules, before)
        raise


def _calibrated(
    model: nn.Module,
    modules: dict[str, Thresholded],
    batches: Batches,
    sparsity: float,
    how: tuple[Budget, bool],
) -> TauReceipt:
    budget, progress = how
    before = {name: module.tau.detach().clone() for name, module in modules.items()}
    first, passes = _read(model, modules, batches, progress=progress), 1
    seen, distances = first, list[float]()
    while passes == 1 or _goes_on(distances, len(modules) + _SPARE_PASSES):
        found = _quantiles(seen, sparsity) if budget is Budget.LAYER else _common(seen, sparsity)
        put(modules, {n: found[n].reshape(modules[n].tau.shape).clamp_min(0.0) for n in modules})
        seen, passes = _read(model, modules, batches, progress=progress), passes + 1
        distances.append(_distance(seen, sparsity, budget))
    if distances[-1] > _ALLOWED:
        raise SparsityError(_unreached(seen, sparsity))
    rows = [
        CalibratedTau(
            name,
            type(module),
            before[name].mean().item(),
            module.tau.detach().mean().item(),
            first[name].zeros / first[name].values,
            seen[name].zeros / seen[name].values,
            seen[name].values,
        )
        for name, module in modules.items()
    ]
    return TauReceipt(tuple(rows), passes, before, modules)


def _goes_on(distances: list[float], passes: int) -> bool:
    """Whether another pass is worth it: so many are, and further ones while they bring much nearer."""
    if distances[-1] <= _ENOUGH:
        return False
    return len(distances) < passes or distances[-1] < _NEARER * distances[-2]


def _read(
    model: nn.Module, modules: dict[str, Thresholded], batches: Batches, *, progress: bool
) -> _Seen:
    """One pass over the data."""
    _, stream = peek(batches)
    with evaluating(model), seeing(modules) as seen:
        for batch in track(stream, label="calibrate tau", total=None, show=progress):
            run(model, to_device_of(model, model_inputs(batch)))
    if unused := [name for name, each in seen.items() if not each.values]:
        raise SparsityError(
            f"{', '.join(unused)} did not run on the data; leave them out with where="
        )
    if broken := [name for name, each in seen.items() if each.broken]:
        raise SparsityError(f"what {', '.join(broken)} is given is NaN or infinite on this data")
    return seen


def _quantiles(seen: _Seen, sparsity: float) -> dict[str, Tensor]:
    return {name: each.quantile(sparsity) for name, each in seen.items()}


def _common(seen: _Seen, sparsity: float) -> dict[str, Tensor]:
    """The same multiple of every scale, found by bisection."""
    low, high = 0.0, 64.0
    for _ in range(60):
        middle = (low + high) / 2.0
        zeros = sum(
            cast("float", each.below(middle * each.scale).sum().item()) * each.each
            for each in seen.values()
        )
        enough = zeros >= sparsity * sum(each.values for each in seen.values())
        low, high = (low, middle) if enough else (middle, high)
    return {name: high * each.scale for name, each in seen.items()}


def _distance(seen: _Seen, sparsity: float, budget: Budget) -> float:
    if budget is Budget.LAYER:
        return max((each.shares - sparsity).abs().max().item() for each in seen.values())
    zeros = sum(each.zeros for each in seen.values())
    return abs(zeros / sum(each.values for each in seen.values()) - sparsity)


def _unreached(seen: _Seen, sparsity: float) -> str:
    name, each = max(seen.items(), key=lambda item: (item[1].shares - sparsity).abs().max().item())
    worst = each.shares[(each.shares - sparsity).abs().argmax()].item()
    atoms = bool((each.module.tau == 0).any()) and worst > sparsity
    why = (
        "so much of what it is given is at most 0: it would take a tau below 0"
        if atoms
        else "many of the values that it is given are equal"
    )
    return f"a sparsity of {sparsity} cannot be had at {name!r}, which has {worst:.3f}: {why}"
