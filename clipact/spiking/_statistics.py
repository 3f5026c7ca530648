"""Take the statistics of a spiking network anew."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage] - torch's only name for all of them

from clipact.calibration import Batches, model_inputs, peek, run, to_device_of
from clipact.nn import HoyerSpike
from clipact.surgery import evaluating

__all__ = ["calibrate_statistics_"]


def calibrate_statistics_(model: nn.Module, batches: Batches) -> None:
    """Take the statistics of BatchNorm layers and Hoyer extrema anew, as means over batches, in place.

    For a network whose activations were exchanged, or whose clip values were set by hand. Weights stay; so do the
    statistics of :class:`clipact.nn.HoyerLeaky`, which belong to the steps of a sequence. Several passes
    over the data are not needed: every layer sees what the layers before it give in training.

    Args:
        model: The network; modes are afterwards what they were.
        batches: As for :func:`clipact.calibrate`; batches of some dozens of samples at least.

    Raises:
        CalibrationError: There is no batch. In this and in any other error the statistics are as before.

    Examples:
        >>> net = nn.Sequential(nn.BatchNorm1d(2), HoyerSpike(), nn.Linear(2, 2))
        >>> calibrate_statistics_(net, torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
        >>> net[0].running_mean
        tensor([2., 4.])
    """
    _, every = peek(batches)
    with torch.no_grad(), evaluating(model), _unless_raised(model), ExitStack() as stack:
        for module in model.modules():
            if isinstance(module, _BatchNorm) and module.track_running_stats:
                module.reset_running_stats()
                stack.enter_context(_averaging(module, None))
            elif isinstance(module, HoyerSpike):
                module.reset_statistics()
                stack.enter_context(_averaging(module, 0.0))
        for batch in every:
            run(model, to_device_of(model, model_inputs(batch)))


@contextmanager
def _unless_raised(model: nn.Module) -> Generator[None]:
    """Put all buffers back after an exception."""
    before = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    except BaseException:
        for buffer, value in before:
            buffer.copy_(value)
        raise


@contextmanager
def _averaging(layer: Any, mean: float | None) -> Generator[None]:
    """Follow the mean over all batches, which is what a momentum of ``mean`` stands for in this kind of layer."""
    momentum = layer.momentum
    layer.momentum = mean
    layer.train()
    try:
        yield
    finally:
        layer.momentum = momentum
