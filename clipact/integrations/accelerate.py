"""Thresholds that train stage by stage in a loop of your own with Accelerate."""

from torch.optim import Optimizer

from clipact.errors import MissingExtraError
from clipact.training import Pacer

try:
    from accelerate import Accelerator
    from accelerate.optimizer import AcceleratedOptimizer
except ImportError:
    raise MissingExtraError(
        "clipact.integrations.accelerate needs Accelerate: pip install 'clipact[hf]'"
    ) from None

__all__ = ["attach"]


def attach(pacer: Pacer, accelerator: Accelerator, *optimizers: Optimizer) -> Pacer:
    """Gate and count in every real update of these optimizers, and save the pacer with ``accelerator.save_state``.

    Make the progression before ``accelerator.prepare``. Updates that gradient accumulation skips do not count. Your
    loop still calls :meth:`clipact.training.Pacer.epoch_end`, and asks whether the pacer is ``done``. Before you clip
    gradients, call :meth:`clipact.training.Pacer.before_optimizer_step`.

    Args:
        pacer: The stages and how many epochs or updates each lasts.
        accelerator: Yours.
        *optimizers: Prepared or not; together they must have all thresholds.

    Returns:
        The pacer itself.

    Raises:
        TrainingError: The optimizers lack a threshold, or one cannot be gated.
    """
    pacer.attach(*(_inner(optimizer) for optimizer in optimizers))
    accelerator.register_for_checkpointing(pacer)
    return pacer


def _inner(optimizer: Optimizer) -> Optimizer:
    return optimizer.optimizer if isinstance(optimizer, AcceleratedOptimizer) else optimizer
