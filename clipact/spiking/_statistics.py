"""Take the statistics of a spiking network anew."""

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage] - torch's only name for all of them

from clipact.calibration import Batches, model_inputs, peek, run, to_device_of
from clipact.errors import CalibrationError, SpikingError
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
        SpikingError: There are no statistics to take.
        CalibrationError: There is no batch, or one without samples, or a normalisation layer has met NaN or infinity. In
            this and in any other error the statistics are as before.

    Examples:
        >>> net = nn.Sequential(nn.BatchNorm1d(2), HoyerSpike(), nn.Linear(2, 2))
        >>> calibrate_statistics_(net, torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
        >>> net[0].running_mean
        tensor([2., 4.])
    """
    norms, spikes = _norms(model), [m for m in model.modules() if isinstance(m, HoyerSpike)]
    if not norms and not spikes:
        raise SpikingError(
            f"calibrate_statistics_() found no BatchNorm with running statistics and no HoyerSpike in {type(model).__name__}"
        )
    _, every = peek(batches)
    with torch.no_grad(), evaluating(model), _unless_raised(model), ExitStack() as stack:
        for norm in norms.values():
            norm.reset_running_stats()
            stack.enter_context(_averaging(norm, None))
        for spike in spikes:
            spike.reset_statistics()
            stack.enter_context(_averaging(spike, 0.0))
        for number, batch in enumerate(every):
            inputs = model_inputs(batch)
            _check_samples(number, inputs)
            run(model, to_device_of(model, inputs))
        _check_finite(norms)


def _norms(model: nn.Module) -> dict[str, _BatchNorm]:
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats
    }


def _check_samples(number: int, inputs: Tensor | Mapping[str, Any]) -> None:
    values = [inputs] if isinstance(inputs, Tensor) else inputs.values()
    if not any(not isinstance(value, Tensor) or value.numel() for value in values):
        raise CalibrationError(
            f"batch {number} has no sample, of which no statistics can be taken; leave it out"
        )


def _check_finite(norms: Mapping[str, _BatchNorm]) -> None:
    wrong = [
        name
        for name, norm in norms.items()
        for value in (norm.running_mean, norm.running_var)
        if value is not None and not bool(value.isfinite().all())
    ]
    if wrong:
        raise CalibrationError(
            f"{', '.join(dict.fromkeys(wrong))} met NaN or infinite values, which would stay in the statistics; check the data"
            " and the model"
        )


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
