"""Thresholds that train one stage after the other, in any training loop."""

from collections.abc import Mapping, Sequence

from torch import nn

from clipact.training._order import Group, Order, check_thresholds, last_first, plan
from clipact.training._progression import Progression
from clipact.training._stage import Stage

__all__ = ["progressive"]


def progressive(
    thresholds: Mapping[str, nn.Parameter],
    *,
    order: Order = last_first,
    group: Group | None = None,
    model: nn.Module | None = None,
) -> Progression:
    """Train thresholds stage by stage: iterate over what this returns, and run your loop in each stage.

    From this call on, the thresholds require gradients, all of them and in every stage: call it before you build the
    optimizer and before you wrap the model in ``DistributedDataParallel``, which does not notice later changes (but
    after ``fully_shard``, which makes new parameters). When the last stage is done, or at :meth:`Progression.close`,
    their flags are as before. Keep one open at a time: of two on the same thresholds each puts back only what it changed
    itself, and says so if the other was closed under it. Weights also compute gradients unless you freeze them yourself
    (``requires_grad_(False)``, also before wrapping), which saves time.

    Args:
        thresholds: Parameters by name, in execution order: :func:`clipact.thresholds`, or some of them.
        order: :func:`last_first`, :func:`first_last`, or your function from the names to the same names in order.
        group: From a name to a key; thresholds with equal keys train together. One at a time by default.
        model: Hold all other parameters of this model still as well, and the running statistics of its
            normalisation layers, as in :func:`frozen_norms`.

    Raises:
        TrainingError: There are no thresholds, the order misses, repeats or invents names, a key cannot be hashed,
            two names have the same parameter, or a threshold is not in ``model``.

    Examples:
        >>> import torch
        >>> from clipact.nn import HyReLU
        >>> from clipact.surgery import thresholds
        >>> model = nn.Sequential(nn.Linear(4, 8), HyReLU(1.0), nn.Linear(8, 8), HyReLU(1.0))
        >>> progression = progressive(thresholds(model), model=model)
        >>> optimizer = torch.optim.AdamW(thresholds(model).values(), lr=0.01)
        >>> for stage in progression:
        ...     with stage.gating(optimizer):
        ...         optimizer.zero_grad()
        ...         model(torch.ones(2, 4)).square().mean().backward()
        ...         _ = optimizer.step()
        ...     print(stage)
        stage 1 of 2 (3.threshold)
        stage 2 of 2 (1.threshold)
    """
    check_thresholds(thresholds, model)
    stages = _stages(thresholds, plan(list(thresholds), order, group), model)
    return Progression(stages, model)


def _stages(
    thresholds: Mapping[str, nn.Parameter], names: Sequence[Sequence[str]], model: nn.Module | None
) -> list[Stage]:
    everything = {id(threshold): threshold for threshold in thresholds.values()}
    if model is not None:
        everything |= {id(parameter): parameter for parameter in model.parameters()}
    stages: list[Stage] = []
    for index, together in enumerate(names):
        trained = {name: thresholds[name] for name in together}
        ids = {id(threshold) for threshold in trained.values()}
        held = tuple(parameter for key, parameter in everything.items() if key not in ids)
        stages.append(Stage(index, len(names), trained, held))
    return stages
