"""Let the linear layers of a model skip zero inputs."""

import logging
from typing import Final

from torch import nn

from clipact.errors import SelectionError
from clipact.sparsity._skipping._break_even import BreakEven, MeasuredBreakEven
from clipact.sparsity._skipping._find import by_example, by_structure
from clipact.sparsity._skipping._forward import ZeroSkipForward
from clipact.sparsity._skipping._layout import lay_out, why_not
from clipact.surgery import Example, Journal, Receipt, Site, refuse_unfit
from clipact.where import Where, select

__all__ = ["zero_skip_"]

_LOG: Final = logging.getLogger(__name__)


def zero_skip_(
    model: nn.Module,
    example: Example | None = None,
    *,
    where: Where | None = None,
    min_weights: int = 2**22,
    break_even: BreakEven | None = None,
) -> Receipt:
    """Let linear layers behind a sparsifier skip the inputs that are zero, in place, where that is faster.

    At each call on a CPU a layer counts the nonzeros of its input (of a sample, if it is large) and, if they are few for the size of the batch, runs
    :func:`sparse_linear` instead of the dense layer. How few is measured on the machine, the first time that a layer's
    shape meets a batch size. Where skipping never wins, the layer does not even count.

    Which layers: those fed by an activation that gives exact zeros (ReLU and its kin, shrinking ones, all of
    :mod:`clipact.nn` that do), also through views, flattening and dropout. With an example, the run tells, whatever the
    forwards look like, and a layer whose input is zero for one half or more counts too. Without one, only sequences
    (``nn.Sequential``) are looked into.

    The layers stay what they are: objects, classes, hooks, parameters, and keys and values of the ``state_dict``. Their
    weights are laid out by columns in memory, without a second copy: ``weight.t()`` is contiguous, ``weight`` is not.
    Optimizers, ``load_state_dict``, copies and fault injection work as before; safetensors wants ``restore()`` first, or
    contiguous tensors.

    Weights in other precisions than single are left alone: there torch is slower in this layout, in half precision many
    times. Convert a model before, or after ``restore()``. :func:`sparse_linear` itself knows all precisions.

    Gradients are those of the dense layer. On other devices, under autocast, ``torch.compile``, ``torch.export`` or
    ``torch.func``, and while the weight has another layout or the input another dtype, the layer is dense.

    Args:
        model: Any module.
        example: As for :func:`clipact.find_sites`; the model runs once, and is left as it was. None: look into sequences.
        where: Which of the layers found; all by default.
        min_weights: Layers with fewer weights are left alone. Some of these are slower than before when the input is dense after all,
            since the library multiplies some small weights more slowly in this layout; lower it if inputs are sparse.
        break_even: Up to how many nonzeros a layer skips; measured by default. Pass one
            :class:`MeasuredBreakEven` for several models to measure once.

    Returns:
        The receipt: the layers changed; ``restore()`` brings back their forwards and layouts.

    Raises:
        SelectionError: No layer can skip.
        SurgeryError: The model is compiled, scripted or wrapped in DistributedDataParallel.

    Examples:
        >>> import torch
        >>> from clipact.nn import CReLU
        >>> model = nn.Sequential(nn.Linear(784, 2048), CReLU(1.0, 1.2), nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 10))
        >>> receipt = zero_skip_(model, torch.randn(1, 784))
        >>> [site.name for site, _ in receipt.changes]
        ['2']
        >>> receipt.restore()
    """
    refuse_unfit(model)
    found = by_structure(model) if example is None else by_example(model, example)
    sites, reasons = list[Site](), list[str]()
    for path, shape in found.items():
        layer = _layer(model, path)
        reason = _too_small(layer, min_weights) or why_not(model, layer)
        if reason is None:
            sites.append(Site(path, type(layer), shape, 1, nn.Identity()))
        else:
            reasons.append(f"{path or 'the model'} cannot: {reason}")
    if not sites:
        raise SelectionError(_nothing(model, reasons, ran=example is not None))
    _LOG.info("left alone: %s", "; ".join(reasons) or "nothing")
    chosen = select(where, sites, what=f"layers of {type(model).__name__} that can skip zeros")
    return _install(model, chosen, MeasuredBreakEven() if break_even is None else break_even)


def _install(model: nn.Module, sites: list[Site], break_even: BreakEven) -> Receipt:
    journal = Journal()
    layers = [_layer(model, site.name) for site in sites]
    try:
        for site, layer in zip(sites, layers, strict=True):
            journal.on_undo(lay_out(layer.weight))
            forward = ZeroSkipForward(layer, break_even)
            journal.set_attribute(site.name, layer, "forward", forward)
            journal.set_attribute(
                site.name, layer, "_replicate_for_data_parallel", forward.replicate, checked=False
            )
    except BaseException:
        journal.undo()
        raise
    return Receipt(list(zip(sites, layers, strict=True)), journal)


def _layer(model: nn.Module, path: str) -> nn.Linear:
    layer = model.get_submodule(path)
    assert isinstance(layer, nn.Linear)
    return layer


def _too_small(layer: nn.Linear, min_weights: int) -> str | None:
    size = layer.in_features * layer.out_features
    return (
        f"it has {size:,} weights, fewer than min_weights={min_weights:,}"
        if size < min_weights
        else None
    )


def _nothing(model: nn.Module, reasons: list[str], *, ran: bool) -> str:
    if reasons:
        return f"no linear layer of {type(model).__name__} can skip zeros: {'; '.join(reasons)}"
    hint = (
        "" if ran else "; pass an example, which shows what feeds the layers outside nn.Sequential"
    )
    return f"{type(model).__name__} has no linear layer with a sparsifier before it{hint}"
