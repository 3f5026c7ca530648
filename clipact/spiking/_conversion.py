"""Turn a network with ReLUs into one that spikes once."""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from clipact.calibration import Batches, calibrate
from clipact.errors import SpikingError
from clipact.nn import HoyerSpike, HyReLU, SaturatedReLU, ZeroedReLU
from clipact.spiking._statistics import calibrate_statistics_
from clipact.surgery import (
    ACTIVATIONS,
    BOUNDED,
    Example,
    Site,
    evaluating,
    find_sites,
    replace_activations,
    run_once,
    watch,
)
from clipact.where import Where, matching

__all__ = ["RECTIFIERS", "Spike", "to_spiking_"]

Spike = Callable[[Site], HoyerSpike]

RECTIFIERS: Final[tuple[type[nn.Module], ...]] = (
    nn.ReLU,
    nn.ReLU6,
    SaturatedReLU,
    ZeroedReLU,
    HyReLU,
)
"""What a spike can stand for: nothing below zero, more above."""

_KINDS: Final = (*ACTIVATIONS, *BOUNDED)


@torch.inference_mode(mode=False)  # statistics made in it could never be followed
def to_spiking_(
    model: nn.Module,
    *,
    example: Example,
    spike: Spike | None = None,
    calibration: Batches | None = None,
    where: Where | None = None,
) -> nn.Module:
    """Give every ReLU call a :class:`clipact.nn.HoyerSpike` of its own, in place.

    Shared modules and functional calls too, as :func:`clipact.replace_activations` does. What feeds the first spike
    stays analog (*direct encoding*), and so do the logits. A max-pool behind a spike passes spikes on; behind an
    average pool, or a sum with a shortcut, the next layer sees more than two values and needs multiplications, which
    :func:`energy_report` counts as such. The stream of a residual network stays real-valued only if it was built so:
    see :class:`clipact.spiking.blocks.Residual`.

    A network that is to be trained from scratch needs nothing else. One that was trained with ReLUs keeps its weights;
    with ``calibration`` data each clip value is set to the spread of what its ReLU gave, and the statistics of
    normalisation layers and spikes are taken anew. Train it for a few epochs then.

    Args:
        model: Any module; spikes start in the training mode of the containers they are put in.
        example: As for :func:`clipact.find_sites`.
        spike: Makes the spike for a site; ``HoyerSpike()`` by default. ``site.shape[1]`` are an image's channels.
        calibration: Batches of training data, as for :func:`clipact.calibrate`; they are gone through twice.
        where: Which sites become spikes; others stay what they are.

    Returns:
        The model.

    Raises:
        SpikingError: There is no ReLU; or an activation that no spike can stand for, or one that gives the model's
            output, and ``where`` does not leave it out; or ``spike`` makes something else, or is no function; or the
            example holds no sample. The model is left as it was.

    References:
        Datta, Liu, Beerel, "Hoyer regularizer is all you need for ultra low-latency spiking neural networks",
        arXiv 2212.10170.

    Examples:
        >>> import torch, clipact as ca
        >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
        >>> snn = ca.spiking.to_spiking_(net, example=torch.randn(2, 1, 8, 8))
        >>> snn[2]
        HoyerSpike(v_threshold=1)
    """
    if isinstance(spike, type | nn.Module):
        raise SpikingError(
            "to_spiking_() got a spike= that is a class or a module; give a function of a site, for example"
            " lambda site: HoyerSpike(site.shape[1])"
        )
    chosen = _chosen(model, example, where)
    names = {site.name for site in chosen}
    picked = matching(lambda candidate: candidate.name in names)
    spreads = {} if calibration is None else _spreads(model, calibration, picked)

    def recipe(site: Site) -> nn.Module:
        made = HoyerSpike() if spike is None else spike(site)
        if not isinstance(made, HoyerSpike):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may not check types
            raise SpikingError(
                f"spike= gave a {type(made).__name__} for {site.name!r}; it must give a clipact.nn.HoyerSpike"
            )
        if site.name in spreads:
            with torch.no_grad():
                made.v_threshold.copy_(spreads[site.name].to(made.v_threshold))
        return made

    receipt = replace_activations(model, recipe, example=example, where=picked, kinds=_KINDS)
    if calibration is not None:
        try:
            calibrate_statistics_(model, calibration)
        except BaseException:
            receipt.restore()
            raise
    return model


def _chosen(model: nn.Module, example: Example, where: Where | None) -> list[Site]:
    """The sites that become spikes.

    Raises:
        SpikingError: See :func:`to_spiking_`.
    """
    sites = find_sites(model, example, kinds=_KINDS)
    flags = [True] * len(sites) if where is None else where.mask(sites)
    chosen = [
        site
        for site, flag in zip(sites, flags, strict=True)
        if flag and site.kind is not HoyerSpike
    ]
    last = _output_site(model, example)
    if where is None:  # probabilities behind the logits are no hidden activation
        chosen = [site for site in chosen if site.name != last or site.kind in RECTIFIERS]
    wrong = [
        f"{site.name} ({site.kind.__name__})" for site in chosen if site.kind not in RECTIFIERS
    ]
    if wrong:
        raise SpikingError(
            f"to_spiking_() found activations that no spike can stand for: {', '.join(wrong)}; train the model with ReLU in"
            " their place, or leave them analog with where=ca.where.of_type(nn.ReLU)"
        )
    if not chosen:
        found = ", ".join(sorted({site.kind.__name__ for site in sites})) or "none"
        raise SpikingError(
            f"to_spiking_() found no ReLU to turn into a spike in {type(model).__name__} (activations: {found})"
        )
    if last in {site.name for site in chosen}:
        raise SpikingError(
            f"{last!r} gives the output of {type(model).__name__}, which would then be spikes, not logits; leave it out with"
            f" where=~ca.where.named({last!r}), or end the model with a Linear layer"
        )
    return chosen


def _output_site(model: nn.Module, example: Example) -> str | None:
    """The site whose output the model returns, flattened or not, as its only tensor."""
    last: list[tuple[str, Tensor]] = []

    def keep(name: str, _kind: type[nn.Module], output: Tensor) -> None:
        last[:] = [(name, output)]

    with watch(model, _KINDS, keep):
        output = run_once(model, example)
    tensors = [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor)]
    if tensors and not any(tensor.numel() for tensor in tensors):
        raise SpikingError(
            "to_spiking_() got an example without samples; give a batch of at least one"
        )
    if not last or len(tensors) != 1:
        return None
    name, given = last[0]
    return name if torch.equal(given.flatten(), tensors[0].flatten()) else None


def _spreads(model: nn.Module, batches: Batches, picked: Where) -> dict[str, Tensor]:
    r"""Of each site, :math:`\sqrt{2 E[y^2]}` of what its ReLU gave: the deviation of a Gaussian that was rectified."""
    with evaluating(model):
        profile = calibrate(model, batches, where=picked, kinds=_KINDS, progress=False)
    spreads = {
        name: (2.0 * (site.mean() ** 2 + site.std() ** 2)).sqrt() for name, site in profile.items()
    }
    return {name: value for name, value in spreads.items() if bool((value > 0).all())}
