"""A model in which nothing moves but what is trained."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager

import torch
from torch import nn

from clipact.surgery import evaluating, plain_attention

__all__ = ["frozen", "training_only"]


@contextmanager
def frozen(model: nn.Module) -> Generator[None]:
    """Eval mode and no parameter that asks for gradients; afterwards modes, flags and gradients are as before.

    Normalisation uses its running statistics and dropout does nothing, so that the model computes what it will
    compute when it is deployed. Gradients are recorded only inside :func:`training_only`.
    """
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        with evaluating(model), plain_attention():
            for parameter, _ in flags:
                parameter.requires_grad = False
            yield
    finally:
        for parameter, flag in flags:
            parameter.requires_grad = flag


@contextmanager
def training_only(thresholds: Iterable[nn.Parameter]) -> Generator[None]:
    """Gradients are recorded, for these parameters; afterwards their flags and gradients are as before."""
    chosen = list(thresholds)
    held = [(parameter.requires_grad, parameter.grad) for parameter in chosen]
    try:
        for parameter in chosen:
            parameter.grad = None
            parameter.requires_grad = True
        with torch.enable_grad():
            yield
    finally:
        for parameter, (flag, grad) in zip(chosen, held, strict=True):
            parameter.requires_grad = flag
            parameter.grad = grad
