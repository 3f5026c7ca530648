"""Fold normalisation and thresholds into weights, for deployment."""

from typing import Final

import torch
import torch.fx
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage] - torch's only name for all of them
from torch.nn.utils.parametrize import is_parametrized

from clipact.errors import SpikingError
from clipact.nn import HoyerSpike
from clipact.spiking._graph import Traced, copied, traced
from clipact.spiking._place import threshold_by_output
from clipact.spiking._regularizer import Look

__all__ = ["fold"]

_CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_POOLS: Final = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)


@torch.inference_mode(mode=False)  # weights made in it could not be hit by faults
@torch.no_grad()
def fold(model: nn.Module, *, example: Tensor | None = None) -> nn.Module:
    r"""A copy for inference, with BatchNorm and thresholds folded into the weights before them.

    A spike of one level behind a convolution (or Linear layer), perhaps a max-pool, and a BatchNorm becomes a spike at
    exactly 1: :math:`W' = W \gamma / (\sqrt{\sigma^2 + \epsilon}\, |V| E)`. Spikes that follow something else, such as a
    sum, and spikes of several levels keep their thresholds; only the BatchNorm is folded then. So do thresholds that
    differ within a channel. Layers with hooks or parametrizations, and layers that share weights, are left alone. Outputs
    are those of the model up to rounding: a neuron whose input lies within rounding of its threshold may decide otherwise.

    Args:
        model: The network, trained; it stays as it is. Its forward takes one tensor, and calls every layer with weights or
            thresholds once.
        example: A batch of inputs, needed where Linear layers see more than vectors ``(N, F)``, such as sequences.

    Returns:
        The copy, in eval mode; what was folded is an ``nn.Identity`` in it, and its thresholds are no longer trained.

    Raises:
        SpikingError: The forward cannot be traced or does not take the example, the model cannot be copied, a layer is
            called twice, or a BatchNorm with a negative scale lies behind a max-pool, where folding would swap maximum
            and minimum.

    Examples:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), HoyerSpike(), nn.Linear(8, 2)).eval()
        >>> folded = fold(net)
        >>> folded[1], folded[2].effective_threshold
        (Identity(), tensor([1.]))
        >>> x = torch.randn(16, 4)
        >>> torch.allclose(folded(x), net(x), atol=1e-5)
        True
    """
    folded = copied(model, "fold()").requires_grad_(requires_grad=False)
    found = traced(folded, "fold()")
    found.check_called_once("fold()")
    if example is not None:
        found.look(example, "fold()")
    for node in found.graph.nodes:
        layer = found.layer(node)
        if isinstance(layer, _BatchNorm):
            _fold_norm(found, node, layer)
    for node in found.graph.nodes:
        layer = found.layer(node)
        if isinstance(layer, HoyerSpike) and layer.levels == 1:
            _fold_threshold(found, node, layer)
    return folded


def _fold_norm(found: Traced, node: torch.fx.Node, norm: _BatchNorm) -> None:
    behind, pool = _linear_before(found, node)
    if behind is None or norm.running_var is None or norm.running_mean is None:
        return
    if isinstance(behind, nn.Linear) and _dims(node, behind, None) != 2:
        return  # of a sequence it would normalise steps
    if norm.num_features != len(behind.weight):
        return
    spread = (norm.running_var + norm.eps).rsqrt()
    scale = spread if norm.weight is None else norm.weight * spread  # pyright: ignore[reportUnnecessaryComparison] - None without affine
    if pool is not None and bool((scale < 0).any()):
        channels = torch.nonzero(scale < 0).flatten().tolist()
        raise SpikingError(
            f"fold(): {found.name(node)!r} has a negative scale in channels {channels} behind the max-pool {pool!r}, where"
            " folding would swap maximum and minimum; put the BatchNorm before the pool, or keep its weight positive"
        )
    shift = -norm.running_mean * scale
    _scale(behind, scale, shift if norm.bias is None else shift + norm.bias)  # pyright: ignore[reportUnnecessaryComparison] - None without affine
    _replace(found, node, nn.Identity())


def _fold_threshold(found: Traced, node: torch.fx.Node, spike: HoyerSpike) -> None:
    behind, _ = _linear_before(found, node)
    if behind is None:
        return
    threshold = threshold_by_output(spike, behind, _dims(node, behind, spike))
    if threshold is None or not bool(((threshold > 0) & threshold.isfinite()).all()):
        return  # no weight belongs to one neuron alone, and none can stand for a threshold that a fault has hit
    scale = 1.0 / threshold
    _scale(behind, scale, torch.zeros_like(scale))
    unit = HoyerSpike(v_threshold=1.0, learn_threshold=False, nan_to_zero=spike.nan_to_zero)
    _replace(found, node, unit.to(behind.weight).eval())


def _linear_before(
    found: Traced, node: torch.fx.Node
) -> tuple[nn.Conv2d | nn.Linear | None, str | None]:
    """The layer with weights before a node, and the name of a max-pool in between."""
    pool = None
    if not _is_plain(found.layer(node)):
        return None, None
    source = found.source(node)
    while source is not None:
        layer = found.layer(source)
        if not _is_plain(layer):
            return None, None
        if isinstance(layer, (*_CONVOLUTIONS, nn.Linear)):
            return None if _is_shared(found.network, layer) else layer, pool  # pyright: ignore[reportReturnType] - of any number of dimensions
        if isinstance(layer, _POOLS):
            pool = found.name(source)
        elif not isinstance(layer, nn.Identity | nn.Dropout):
            return None, None
        source = found.source(source)
    return None, None


def _is_plain(layer: nn.Module | None) -> bool:
    """Whether it computes what its class says: without hooks, but those that only look."""
    if layer is None:
        return False
    before = layer._forward_pre_hooks.values()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - torch has no public question
    return not layer._forward_hooks and all(isinstance(hook, Look) for hook in before)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the same


def _dims(node: torch.fx.Node, behind: nn.Conv2d | nn.Linear, spike: HoyerSpike | None) -> int:
    """How many dimensions a node's value has, samples included; if nothing is known, as few as there can be."""
    if not isinstance(behind, nn.Linear):
        return behind.weight.dim()
    if "tensor_meta" in node.meta:
        return len(node.meta["tensor_meta"].shape)
    by_neuron = spike is not None and spike.v_threshold.numel() > 1
    return spike.v_threshold.dim() + 1 if spike is not None and by_neuron else 2


def _is_shared(network: nn.Module, layer: nn.Module) -> bool:
    """Whether its weight is also another layer's, or computed from others."""
    owners = [
        m for m in network.modules() for own in m.parameters(recurse=False) if own is layer.weight
    ]
    return is_parametrized(layer) or len(owners) > 1


def _scale(layer: nn.Conv2d | nn.Linear, scale: Tensor, shift: Tensor) -> None:
    """Scale and shift what each row of the weight gives."""
    dtype = layer.weight.dtype
    rows = scale.double().reshape(-1, *[1] * (layer.weight.dim() - 1))
    before = 0.0 if layer.bias is None else layer.bias.double()  # pyright: ignore[reportUnnecessaryComparison] - None without one
    bias = (before * scale.double() + shift.double()).to(dtype)
    layer.weight.copy_((layer.weight.double() * rows).to(dtype))
    layer.bias = nn.Parameter(bias, requires_grad=False)


def _replace(found: Traced, node: torch.fx.Node, layer: nn.Module) -> None:
    """Put a layer where a node's is, under each of its names."""
    before, network = found.layer(node), found.network
    for full, module in list(network.named_modules(remove_duplicate=False)):
        if module is before:
            owner, _, name = full.rpartition(".")
            network.get_submodule(owner).add_module(name, layer)
