"""Let the linear layers of a model skip zero inputs."""

from collections.abc import Collection, Mapping
from functools import partial

import torch
from torch import nn

from clipact.errors import SelectionError
from clipact.sparsity._skipping._break_even import BreakEven, MeasuredBreakEven
from clipact.sparsity._skipping._find import by_example, by_structure
from clipact.sparsity._skipping._forward import ZeroSkipForward
from clipact.sparsity._skipping._layout import lay_out, why_not
from clipact.surgery import Example, Journal, Receipt, Site, refuse_unfit
from clipact.where import Where, select

__all__ = ["zero_skip_"]


def zero_skip_(
    model: nn.Module,
    example: Example | None = None,
    *,
    where: Where | None = None,
    min_weights: int = 2**22,
    dtypes: Collection[torch.dtype] = (torch.float32,),
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
    Optimizers, ``load_state_dict``, copies and fault injection work as before. What views parameters as one row wants
    ``restore()`` first: safetensors, and of torch ``optim.LBFGS``, ``parameters_to_vector`` and ``utils.prune``.

    Gradients are those of the dense layer. On other devices, under autocast, ``torch.compile``, ``torch.export`` or
    ``torch.func``, and while the weight has another layout or the input another dtype, the layer is dense.

    Args:
        model: Any module.
        example: As for :func:`clipact.find_sites`; the model runs once, and is left as it was. None: look into sequences.
        where: Which of the layers found; all by default.
        min_weights: Layers with fewer weights are left alone: asking takes a larger part of their time, and torch multiplies
            some small weights more slowly in this layout when an input is dense after all. Lower it if inputs are sparse.
        dtypes: Layers of other precisions are left alone too. In double and half precision torch multiplies more slowly in
            this layout on a CPU, many times more slowly in ``float16``, whenever an input is dense after all. So
            ``restore()`` before converting a model.
        break_even: Up to how many nonzeros a layer skips; measured by default. Pass one
            :class:`MeasuredBreakEven` for several models to measure once.

    Returns:
        The receipt: the layers changed, none if dense is better for all; ``restore()`` brings back their forwards and layouts.

    Raises:
        SelectionError: No layer is behind a sparsifier, or none can skip, or all do already: the message says which.
        SurgeryError: The model is compiled, scripted or wrapped in DistributedDataParallel.

    Examples:
        >>> from clipact.nn import CReLU
        >>> model = nn.Sequential(nn.Linear(784, 2048), CReLU(1.0, 1.2), nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 10))
        >>> receipt = zero_skip_(model, torch.randn(1, 784))
        >>> [site.name for site, _ in receipt.changes]
        ['2']
        >>> receipt.restore()
    """
    refuse_unfit(model)
    found = by_structure(model) if example is None else by_example(model, example)
    reasons = {path: why_not(model, _layer(model, path)) for path in found}
    able = [
        Site(path, type(_layer(model, path)), shape, 1, nn.Identity())
        for path, shape in found.items()
        if reasons[path] is None
    ]
    if not able:
        raise SelectionError(_nothing(model, reasons, ran=example is not None))
    try:
        chosen = select(where, able, what=f"layers of {type(model).__name__} that can skip zeros")
    except SelectionError as error:
        if already := _skipping(model):
            raise SelectionError(f"{error}. {_present(already)}") from None
        raise
    worth = [
        site
        for site in chosen
        for weight in [_layer(model, site.name).weight]
        if weight.numel() >= min_weights and weight.dtype in dtypes
    ]
    return _install(model, worth, MeasuredBreakEven() if break_even is None else break_even)


def _install(model: nn.Module, sites: list[Site], break_even: BreakEven) -> Receipt:
    journal = Journal()
    journal.on_undo(list)  # so that a receipt of no changes can be restored, too
    layers = [_layer(model, site.name) for site in sites]
    try:
        for site, layer in zip(sites, layers, strict=True):
            journal.on_undo(lay_out(layer.weight), redo=partial(lay_out, layer.weight))
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


def _skipping(model: nn.Module) -> list[str]:
    """The layers that skip zeros."""
    return [
        path or "the model"
        for path, module in model.named_modules()
        if isinstance(module.__dict__.get("forward"), ZeroSkipForward)
    ]


def _nothing(model: nn.Module, reasons: Mapping[str, str | None], *, ran: bool) -> str:
    name = type(model).__name__
    if already := _skipping(model):
        return f"{name} has no linear layer left that could skip zeros. {_present(already)}"
    if reasons:
        each = "; ".join(f"{path or 'the model'} cannot: {why}" for path, why in reasons.items())
        return f"no linear layer of {name} can skip zeros: {each}"
    hint = (
        "" if ran else "; pass an example, which shows what feeds the layers outside nn.Sequential"
    )
    return f"{name} has no linear layer with a sparsifier before it{hint}"


def _present(layers: list[str]) -> str:
    return f"By an earlier zero_skip_(), {', '.join(layers)} do so already; to change that, restore() its receipt first"
